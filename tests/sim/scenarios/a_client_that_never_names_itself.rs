//! A client connects and never chooses a nickname.

use commonroom::server::Config;
use commonroom::server::limits::REGISTRATION_TIMEOUT;

use crate::member::Member;
use crate::scenario;
use crate::stranger::Stranger;
use crate::world::seconds;

#[test]
fn a_client_that_never_names_itself_is_closed_after_the_registration_timeout() {
    let mut world = scenario::begin();
    world.start_server(Config::default());
    world.add(Member::new("Dinesh"));
    world.add_strangers("Mute", async || {
        let heard = Stranger::connect().await?.hear_all().await?;
        assert_eq!(heard, "NICK-- No nickname has come in time. Goodbye.\n");
        Ok(())
    });
    world.run_until(REGISTRATION_TIMEOUT + seconds(1));
    assert_eq!(world.screen("Dinesh").len(), 2, "nobody else is told");
    scenario::end(&world);
}
