//! Whether a store is as it was left.

use super::*;

const OTHER: LogEpoch = LogEpoch(0xbad);

#[test]
fn the_mark_says_how_far_an_open_store_has_come() {
    let place = Place::new();
    let mut log = place.open();
    for id in 1..=3 {
        append(&mut log, vec![said(id)], None);
        let mark = fs::read_to_string(place.file("room.db.mark")).unwrap();
        assert!(mark.starts_with(&format!("epoch 0000000000005c1e id {id:020} store ")), "{mark}");
        assert!(mark.ends_with('\n') && mark.lines().count() == 1, "{mark}");
    }
}

#[test]
fn a_store_that_was_deleted_gets_a_new_epoch() {
    let place = Place::with(3);
    fs::remove_file(place.path()).unwrap();
    let recovered = place.recover(OTHER).unwrap();
    assert_eq!((recovered.epoch, ids(&recovered)), (OTHER, vec![]));
}

#[test]
fn a_store_whose_log_was_deleted_gets_a_new_epoch() {
    let place = Place::new();
    let mut log = place.open();
    append(&mut log, vec![said(1)], None);
    fs::copy(place.path(), place.file("old.db")).unwrap();
    append(&mut log, vec![said(2)], None);
    drop(log);
    // In place: the file is the same.
    fs::copy(place.file("old.db"), place.path()).unwrap();
    let recovered = place.recover(OTHER).unwrap();
    assert_eq!((recovered.epoch, ids(&recovered)), (OTHER, vec![]), "all was in the log");
}

#[test]
fn a_store_that_was_restored_in_place_gets_a_new_epoch_and_keeps_it() {
    let place = Place::with(3);
    fs::copy(place.path(), place.file("backup.db")).unwrap();
    let mut log = place.open();
    append(&mut log, vec![said(4)], None);
    drop(log);
    fs::copy(place.file("backup.db"), place.path()).unwrap();
    let recovered = place.recover(OTHER).unwrap();
    assert_eq!((recovered.epoch, ids(&recovered)), (OTHER, vec![1, 2, 3]));
    let mut log = place.open();
    append(&mut log, vec![said(4)], None);
    drop(log);
    assert_eq!(place.epoch(LogEpoch(1)), OTHER);
}

#[test]
fn a_store_that_was_restored_over_a_longer_one_of_another_epoch_gets_a_new_one() {
    let place = Place::with(3);
    fs::copy(place.path(), place.file("backup.db")).unwrap();
    fs::remove_file(place.file("room.db.mark")).unwrap();
    assert_eq!(place.epoch(OTHER), OTHER);
    // The mark says as much as the backup has, but in another epoch.
    fs::copy(place.file("backup.db"), place.path()).unwrap();
    assert_eq!(place.epoch(LogEpoch(1)), LogEpoch(1));
}

#[test]
fn a_store_without_a_mark_or_with_a_damaged_one_gets_a_new_epoch() {
    let place = Place::with(3);
    fs::remove_file(place.file("room.db.mark")).unwrap();
    assert_eq!(place.epoch(OTHER), OTHER);
    for (number, mark) in (1_u64..).zip([&b""[..], b"\0\0\0\0\n", b"epoch 1 id 1", &[0xff; 1_000]]) {
        fs::write(place.file("room.db.mark"), mark).unwrap();
        assert_eq!(place.epoch(LogEpoch(number)), LogEpoch(number));
        assert_eq!(place.epoch(OTHER), LogEpoch(number), "the mark is written anew");
    }
}

#[test]
#[cfg(unix)]
fn a_store_that_was_copied_with_its_mark_gets_a_new_epoch() {
    let place = Place::with(3);
    let copy = Place::new();
    for name in ["room.db", "room.db.mark"] {
        fs::copy(place.file(name), copy.file(name)).unwrap();
    }
    assert_eq!(copy.epoch(OTHER), OTHER);
    assert_eq!(place.epoch(OTHER), FRESH);
}

#[test]
#[cfg(unix)]
fn a_store_that_was_moved_with_its_mark_keeps_its_epoch() {
    let place = Place::with(3);
    let elsewhere = Place(tempfile::tempdir_in(place.0.path()).unwrap());
    for name in ["room.db", "room.db.mark"] {
        fs::rename(place.file(name), elsewhere.file(name)).unwrap();
    }
    assert_eq!(elsewhere.epoch(OTHER), FRESH);
}

/// A power cut may lose what the mark was last, because it is not synced.
#[test]
fn a_store_with_more_than_its_mark_says_keeps_its_epoch() {
    let place = Place::with(3);
    let mark = fs::read(place.file("room.db.mark")).unwrap();
    let mut log = place.open();
    append(&mut log, vec![said(4)], None);
    drop(log);
    fs::write(place.file("room.db.mark"), mark).unwrap();
    assert_eq!(place.epoch(OTHER), FRESH);
}

#[test]
fn a_second_server_is_refused_until_the_first_has_closed_the_store() {
    let place = Place::with(3);
    let log = place.open();
    assert_eq!(place.refusal(), "cannot open the store room.db: another server uses it");
    drop(log);
    assert_eq!(place.epoch(OTHER), FRESH);
}

#[test]
#[cfg(unix)]
fn a_second_server_is_refused_whatever_it_calls_the_store() {
    let place = Place::with(3);
    std::os::unix::fs::symlink(place.path(), place.file("link.db")).unwrap();
    let through_link = || Sqlite::open(&place.file("link.db"), KEEP_ALL, || Timestamp(0));
    let log = place.open();
    assert!(through_link().is_err());
    drop(log);
    let mut log = through_link().unwrap();
    assert_eq!(recover(&mut log, OTHER).unwrap().epoch, FRESH);
    assert!(place.claim().is_err());
}

#[test]
#[cfg(unix)]
fn a_link_to_a_store_that_does_not_exist_yet_creates_that_store() {
    let place = Place::new();
    std::os::unix::fs::symlink(place.path(), place.file("link.db")).unwrap();
    let through_link = || Sqlite::open(&place.file("link.db"), KEEP_ALL, || Timestamp(0));
    let mut log = through_link().unwrap();
    assert_eq!(recover(&mut log, FRESH).unwrap().epoch, FRESH);
    append(&mut log, vec![said(1)], None);
    assert!(through_link().is_err(), "another server uses it");
    drop(log);
    assert_eq!(place.epoch(OTHER), FRESH);
}

#[test]
#[cfg(unix)]
fn all_files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    let mut log = place.open();
    append(&mut log, vec![said(1)], None);
    for name in ["room.db", "room.db-wal", "room.db-shm", "room.db.mark"] {
        let mode = fs::metadata(place.file(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn a_closed_store_is_one_file_and_its_mark() {
    let place = Place::with(3);
    let mut names: Vec<_> =
        fs::read_dir(place.0.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["room.db", "room.db.mark"]);
}
