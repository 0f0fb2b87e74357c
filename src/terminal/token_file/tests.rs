use tempfile::TempDir;

use super::*;
use crate::protocol::{LogEpoch, SECRET_BYTES, SessionId, Token};

fn nickname(text: &str) -> Nickname {
    Nickname::parse(text).unwrap()
}

fn dinesh() -> Nickname {
    nickname("Dinesh")
}

/// The session of this number, after so many lines.
fn session(id: u128, public_lines: u64) -> Resume {
    let token = Token::new(SessionId(id), [0x5e; SECRET_BYTES]);
    Resume { token, epoch: LogEpoch(0x5c1e), public_lines, private_lines: 0 }
}

/// The user's own directory.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("commonroom")
    }

    /// A client that talks to this server.
    fn client_of(&self, server: &str) -> TokenFile {
        TokenFile::below(Some(self.path()), server.to_owned())
    }

    fn client(&self) -> TokenFile {
        self.client_of("tcp chat.example:5555")
    }

    /// What an earlier client has left for the next one.
    fn found(&self, nickname: &Nickname) -> Option<Resume> {
        self.client().claim(nickname)
    }

    fn files(&self) -> Vec<PathBuf> {
        fs::read_dir(self.path()).unwrap().map(|entry| entry.unwrap().path()).collect()
    }
}

fn simulate<T>(test: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true).build().unwrap().block_on(test)
}

#[test]
fn the_session_of_a_client_that_is_gone_is_found_under_its_server_and_its_nickname_alone() {
    let place = Place::new();
    let mut client = place.client();
    assert_eq!(client.claim(&dinesh()), None);
    client.keep(&dinesh(), Some(session(1, 7)));
    drop(client);
    assert_eq!(place.found(&nickname("Alex")), None);
    assert_eq!(place.client_of("tls chat.example:5555").claim(&dinesh()), None);
    assert_eq!(place.found(&dinesh()), Some(session(1, 7)));
    // It stays, for this client may be killed as well.
    assert_eq!(place.found(&dinesh()), Some(session(1, 7)));
}

#[test]
fn while_a_client_runs_a_second_one_neither_finds_its_session_nor_changes_it() {
    let place = Place::new();
    let mut first = place.client();
    first.claim(&dinesh());
    first.keep(&dinesh(), Some(session(1, 7)));
    let mut second = place.client();
    assert_eq!(second.claim(&dinesh()), None);
    second.keep(&dinesh(), Some(session(2, 9)));
    second.forget();
    drop(second);
    drop(first);
    assert_eq!(place.found(&dinesh()), Some(session(1, 7)));
}

#[test]
fn a_session_that_is_over_leaves_no_file() {
    let place = Place::new();
    let over: [fn(&mut TokenFile); 3] = [
        |_| {},
        |client: &mut TokenFile| {
            client.keep(&dinesh(), Some(session(1, 7)));
            client.forget();
        },
        |client| {
            client.keep(&dinesh(), Some(session(1, 7)));
            client.keep(&dinesh(), None);
        },
    ];
    for end in over {
        let mut client = place.client();
        client.claim(&dinesh());
        end(&mut client);
        assert_eq!(place.files().iter().map(|file| fs::read(file).unwrap().len()).collect::<Vec<_>>(), [0]);
        drop(client);
        assert_eq!(place.files(), [""; 0].map(PathBuf::from));
    }
}

#[test]
fn another_session_takes_the_place_of_one_that_is_over() {
    let place = Place::new();
    let mut client = place.client();
    client.claim(&dinesh());
    client.keep(&dinesh(), Some(session(1, 1_000)));
    client.keep(&dinesh(), None);
    client.keep(&dinesh(), Some(session(2, 7)));
    drop(client);
    assert_eq!(place.found(&dinesh()), Some(session(2, 7)));
}

#[test]
fn a_client_that_is_renamed_is_found_by_its_new_nickname() {
    let place = Place::new();
    let mut client = place.client();
    client.claim(&dinesh());
    client.keep(&dinesh(), Some(session(1, 7)));
    client.keep(&nickname("Bo"), Some(session(1, 8)));
    drop(client);
    assert_eq!(place.found(&dinesh()), None);
    assert_eq!(place.found(&nickname("Bo")), Some(session(1, 8)));
}

#[test]
fn a_client_that_is_renamed_to_one_whose_file_is_taken_stays_where_it_is() {
    let place = Place::new();
    let (mut client, mut bo) = (place.client(), place.client());
    bo.claim(&nickname("Bo"));
    client.claim(&dinesh());
    client.keep(&dinesh(), Some(session(1, 7)));
    client.keep(&nickname("Bo"), Some(session(2, 0)));
    drop((client, bo));
    assert_eq!(place.found(&dinesh()), Some(session(2, 0)));
}

#[test]
fn what_has_been_read_is_stored_after_a_while_and_not_for_each_line() {
    simulate(async {
        let place = Place::new();
        let begin = Instant::now();
        let mut client = place.client();
        client.claim(&dinesh());
        let mut keep = |lines| client.keep(&dinesh(), Some(session(1, lines)));
        let stored = || fs::read_to_string(&place.files()[0]).unwrap();
        assert_eq!(keep(7), None, "at once, for it may be killed at once");
        assert_eq!(keep(8), Some(begin + STORE_INTERVAL));
        assert_eq!(stored(), format!("{}\n", session(1, 7)));
        tokio::time::advance(STORE_INTERVAL).await;
        assert_eq!(keep(1_000), None);
        assert_eq!(stored(), format!("{}\n", session(1, 1_000)));
        assert_eq!(keep(1_000), None, "there is nothing new");
    });
}

#[test]
fn a_file_with_anything_else_in_it_is_none() {
    let place = Place::new();
    let whole = format!("{}\n", session(1, 7));
    let torn = &whole[..whole.len() - 3];
    for content in ["", "\n", torn, "\0\0\0\0", &"x".repeat(1_000_000)] {
        drop(place.client());
        let mut client = place.client();
        let path = place.path().join(client.name_of(&dinesh()));
        client.claim(&dinesh());
        fs::write(path, content).unwrap();
        // It is left to the next one as by a client that was killed.
        client.claimed.as_mut().unwrap().stored = Some(session(1, 7));
        drop(client);
        assert_eq!(place.found(&dinesh()), None);
    }
}

#[test]
fn without_a_directory_everything_works_without_files() {
    let place = Place::new();
    fs::write(place.path(), "a file").unwrap();
    let nowhere = TokenFile::below(Some(place.path().join("below it")), String::new());
    for mut client in [TokenFile::none(), place.client(), nowhere] {
        assert_eq!(client.claim(&dinesh()), None);
        assert_eq!(client.keep(&dinesh(), Some(session(1, 7))), None);
        assert_eq!(client.keep(&nickname("Bo"), Some(session(1, 8))), None);
        client.forget();
    }
    assert_eq!(fs::read_to_string(place.path()).unwrap(), "a file");
}

#[cfg(unix)]
mod private {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn only_the_user_can_read_a_file_or_look_into_the_directory() {
        let place = Place::new();
        let mut client = place.client();
        client.claim(&dinesh());
        assert_eq!((mode(&place.path()), mode(&place.files()[0])), (0o700, 0o600));
    }

    #[test]
    fn a_directory_that_others_can_look_into_is_not_used() {
        let place = Place::new();
        fs::create_dir(place.path()).unwrap();
        for others in [0o710, 0o701, 0o777] {
            set_mode(&place.path(), others);
            place.client().claim(&dinesh());
            let mut client = place.client();
            client.claim(&dinesh());
            assert_eq!(place.files().len(), 0);
        }
    }

    #[test]
    fn a_link_is_followed_neither_to_a_directory_nor_to_a_file() {
        let (place, elsewhere) = (Place::new(), Place::new());
        drop(elsewhere.client());
        symlink(elsewhere.path(), place.path()).unwrap();
        let mut client = place.client();
        client.claim(&dinesh());
        assert_eq!(elsewhere.files().len(), 0);

        fs::remove_file(place.path()).unwrap();
        let mut client = place.client();
        let victim = place.0.path().join("victim");
        fs::write(&victim, "mine").unwrap();
        set_mode(&victim, 0o600);
        let path = place.path().join(client.name_of(&dinesh()));
        for is_symbolic in [true, false] {
            if is_symbolic { symlink(&victim, &path) } else { fs::hard_link(&victim, &path) }.unwrap();
            client.claim(&dinesh());
            client.keep(&dinesh(), Some(session(1, 7)));
            assert_eq!(fs::read_to_string(&victim).unwrap(), "mine");
            fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn a_file_that_others_can_read_is_not_used() {
        let place = Place::new();
        let mut client = place.client();
        let path = place.path().join(client.name_of(&dinesh()));
        fs::write(&path, format!("{}\n", session(1, 7))).unwrap();
        set_mode(&path, 0o644);
        assert_eq!(client.claim(&dinesh()), None);
        set_mode(&path, 0o600);
        assert_eq!(client.claim(&dinesh()), Some(session(1, 7)));
    }
}
