//! Text that acts on a terminal, and names that look like another's, are refused on the way in.

use commonroom::server::Config;
use tokio::time::sleep;

use crate::foreign_server::HOSTILE;
use crate::member::Member;
use crate::scenario;
use crate::stranger::Stranger;
use crate::world::seconds;

/// Dinesh with a zero-width space, in another script, and in another case.
const LOOKALIKES: [&str; 3] = ["Din\u{200b}esh", "Dіnesh", "DINESH"];

#[test]
fn text_that_acts_on_a_terminal_and_lookalike_nicknames_are_refused_on_the_way_in() {
    let mut world = scenario::begin();
    world.start_server(Config::default());
    world.add(Member::new("Dinesh"));
    world.add_strangers("Mallory", async || {
        sleep(seconds(1)).await;
        let names = HOSTILE.map(|hostile| format!("Mal{hostile}lory"));
        for name in names.iter().map(String::as_str).chain(LOOKALIKES) {
            let answer = Stranger::answer_to(format!("{name}\n")).await?;
            assert!(answer.starts_with("NICK-- Not joined: "), "{name:?}: {answer:?}");
        }
        for text in HOSTILE {
            let answer = Stranger::answer_to(format!("Mallory\nboo{text}!\nHello\n")).await?;
            let refused = "\n-- Not sent: a message cannot contain the control character U+";
            assert!(answer.contains(refused), "{text:?}: {answer:?}");
            assert!(answer.contains("\nMallory: Hello\n"), "it may go on: {answer:?}");
        }
        Ok(())
    });
    world.run_until(seconds(20));
    let heard = world.screen("Dinesh");
    let wanted = ["Mallory joined the chat!", "Mallory: Hello", "Mallory left the chat."];
    assert_eq!(heard[2..], wanted.repeat(HOSTILE.len()), "nothing of it is heard");
    scenario::end(&world);
}
