//! The report's table, run on the simulated network against our server, in both framings.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use commonroom::net::{Bind as _, Listener as _};
use commonroom::protocol::Framing;
use commonroom::server::limits::RESUME_GRACE;
use commonroom::server::{Config, Server};
use commonroom::tools::check::{Case, Need, Observation, Subject, Verdict, cases, check};
use tokio::sync::{Notify, oneshot};
use tokio::time::{sleep, timeout};

use super::network::Simulated;
use super::tokens::sessions;
use super::world::{Physics, SERVER, World, address, seconds};

#[test]
fn every_case_of_the_reports_table_passes_in_the_simulation_in_lines() {
    every_case_passes(Framing::Lines);
}

#[test]
fn every_case_of_the_reports_table_passes_in_the_simulation_in_the_reports_framing() {
    every_case_passes(Framing::Report);
}

#[track_caller]
fn every_case_passes(framing: Framing) {
    let mut failures = String::new();
    let mut skipped = Vec::new();
    for case in cases().into_iter().filter(|case: &Case<_>| case.is_for(framing)) {
        let name = case.name;
        match run(case, framing) {
            Verdict::Passed => {}
            Verdict::Failed(observation) => writeln!(failures, "{name}: {observation}").unwrap(),
            Verdict::Skipped(_) => skipped.push(name),
        }
    }
    assert_eq!(failures, "");
    assert_eq!(skipped, ["orderly-close"], "a simulation has no processor time to measure");
}

/// Runs a case in a world of its own, where the case itself is a host.
fn run(case: Case<SimulatedServer>, framing: Framing) -> Verdict {
    let mut world = World::with(Physics::default());
    let control = Arc::new(Control::default());
    add_server(&mut world, &control);
    let verdict = Arc::new(Mutex::new(None));
    let (told, mut subject) = (
        Arc::clone(&verdict),
        SimulatedServer {
            network: Simulated::default(),
            address: address(),
            framing,
            control: Arc::clone(&control),
        },
    );
    world.within(|sim| {
        sim.client("checker", async move {
            // The server listens already, as a process does that was started and waited for.
            sleep(seconds(1)).await;
            let verdict = check(&case, &mut subject).await;
            *told.lock().unwrap() = Some(verdict);
            Ok(())
        });
    });
    while !world.within(turmoil::Sim::step).expect("no host fails") {
        carry_out(&control, &mut world);
    }
    verdict.lock().unwrap().take().expect("the case has ended")
}

/// A case's request to the server's host, carried out between the steps of the simulation.
enum Request {
    Start,
    Kill,
    ReadLog(oneshot::Sender<String>),
}

/// Shared by the case, the server's host and the loop that steps the simulation.
#[derive(Default)]
struct Control {
    requests: Mutex<VecDeque<Request>>,
    stop: Notify,
    stopped: Notify,
    start_second: Notify,
    second: Notify,
    second_listened: Mutex<bool>,
}

fn carry_out(control: &Control, world: &mut World) {
    while let Some(request) = { control.requests.lock().unwrap().pop_front() } {
        match request {
            Request::Start => world.within(|sim| sim.bounce(SERVER)),
            Request::Kill => world.within(|sim| sim.crash(SERVER)),
            // The case may have given up.
            Request::ReadLog(answer) => drop(answer.send(world.server_log())),
        }
    }
}

fn add_server(world: &mut World, control: &Arc<Control>) {
    let control = Arc::clone(control);
    world.within(|sim| {
        sim.host(SERVER, move || {
            let control = Arc::clone(&control);
            async move {
                let listener = Simulated::default().bind(LISTEN).await?;
                let address = listener.local_address()?;
                let sessions = Some(sessions(0, RESUME_GRACE));
                let config = Config { sessions, ..Config::default() };
                let serving = Server::new(config).run(listener, control.stop.notified());
                tokio::select! {
                    biased;
                    () = serving => control.stopped.notify_one(),
                    () = try_to_listen_too(&control, address) => {}
                }
                Ok(())
            }
        });
    });
}

/// Starts a second server on the host of the first, which should fail.
async fn try_to_listen_too(control: &Control, address: SocketAddr) {
    loop {
        control.start_second.notified().await;
        let listened = Simulated::default().bind(&address.to_string()).await;
        *control.second_listened.lock().unwrap() =
            !matches!(listened, Err(error) if error.kind() == io::ErrorKind::AddrInUse);
        control.second.notify_one();
    }
}

const LISTEN: &str = "0.0.0.0:5555";

/// How long the host may take to start or to end, in simulated time.
const CONTROL_TIMEOUT: Duration = seconds(6);

struct SimulatedServer {
    network: Simulated,
    address: String,
    framing: Framing,
    control: Arc<Control>,
}

impl SimulatedServer {
    fn request(&self, request: Request) {
        self.control.requests.lock().unwrap().push_back(request);
    }
}

impl Subject for SimulatedServer {
    type Network = Simulated;

    fn network(&self) -> &Simulated {
        &self.network
    }

    fn address(&self) -> &str {
        &self.address
    }

    fn framing(&self) -> Framing {
        self.framing
    }

    fn offers(&self, need: Need) -> bool {
        need != Need::CpuTime
    }

    async fn renew(&mut self) -> Result<(), Observation> {
        // The world of each case is new.
        Ok(())
    }

    async fn start(&mut self) -> Result<(), Observation> {
        self.request(Request::Start);
        sleep(seconds(1)).await;
        Ok(())
    }

    async fn start_second(&mut self) -> Result<(), Observation> {
        self.control.start_second.notify_one();
        timeout(CONTROL_TIMEOUT, self.control.second.notified()).await.map_err(|_| "no second server")?;
        let listened = *self.control.second_listened.lock().unwrap();
        if listened { Err("the second server listens too".to_owned()) } else { Ok(()) }
    }

    async fn stop(&mut self) -> Result<(), Observation> {
        self.control.stop.notify_one();
        let stopped = timeout(CONTROL_TIMEOUT, self.control.stopped.notified()).await;
        stopped.map_err(|_| format!("the server did not end within {CONTROL_TIMEOUT:?}"))
    }

    async fn kill(&mut self) {
        self.request(Request::Kill);
        sleep(seconds(1)).await;
    }

    async fn log(&mut self) -> Result<String, Observation> {
        let (answer, log) = oneshot::channel();
        self.request(Request::ReadLog(answer));
        log.await.map_err(|_| "the world has ended".to_owned())
    }

    fn wanted_cpu_time(&self) -> Option<Duration> {
        None
    }
}
