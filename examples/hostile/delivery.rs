//! I-8: how long it takes from the moment a client sends a cancel until the body is dropped, on one node: idle, and with
//! endless loops on every core, 10,000 tasks and 32 clients that start and cancel.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix_web::{App, dev::ServerHandle, rt};
use quell::http::{Connections, HttpOptions, TokenPrincipal, TokenTable, routes};
use quell::server::demo::register_demo;
use quell::{Coordinator, Registry, Runtime, RuntimeSettings, StartRequest, Task, TaskContext, TaskError};
use serde_json::json;

use crate::Failed;
use crate::report::{Report, ms, quantile};
use crate::wire::{TOKENS, Wire};

const CANCELS: usize = 1_000;
const TASKS: usize = 10_000;
const CLIENTS: usize = 32;
const BAR: Duration = Duration::from_millis(50);

/// When the last body was dropped.
#[derive(Default)]
struct Dropped(Mutex<Option<Instant>>);

/// Waits, and tells when it is dropped.
#[derive(serde::Deserialize)]
struct Watched {}

struct Tells(Arc<Dropped>);

impl Drop for Tells {
    fn drop(&mut self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }
}

impl Task for Watched {
    const APP: &'static str = "tests";
    const MODEL: &'static str = "Watched";
    type Output = ();

    async fn process(&self, ctx: TaskContext) -> Result<(), TaskError> {
        let _tells = ctx.state::<Dropped>().map(Tells);
        ctx.send_event("begun", &()).await?;
        std::future::pending().await
    }
}

/// Measures both and adds their rows.
pub(crate) fn measure(report: &mut Report) -> Result<(), Failed> {
    rt::System::new().block_on(async {
        let folder = tempfile::tempdir()?;
        let dropped = Arc::new(Dropped::default());
        let registry = register_demo(Registry::new())?.task::<Watched>()?.state(Arc::clone(&dropped));
        let url = format!("sqlite://{}", folder.path().join("delivery.db").display());
        let coordinator = Runtime::start(&url, registry, RuntimeSettings::default()).await?;
        let (address, server) = serve(&coordinator)?;
        row(report, "idle", delivered(&coordinator, address, &dropped).await?);
        let clients = busy(&coordinator, address).await?;
        row(report, "busy", delivered(&coordinator, address, &dropped).await?);
        for client in clients {
            client.abort();
        }
        coordinator.shutdown(Duration::from_secs(10)).await;
        server.stop(false).await;
        Ok(())
    })
}

fn row(report: &mut Report, node: &str, mut took: Vec<Duration>) {
    let (p50, p99) = (quantile(&mut took, 0.5), quantile(&mut took, 0.99));
    report.row(
        format!("cancel sent until its body is dropped, {node} node, p50, p99"),
        format!("{}, {}", ms(p50), ms(p99)),
        format!("p99 {}", ms(BAR)),
        p99 <= BAR,
    );
}

fn serve(coordinator: &Coordinator) -> Result<(SocketAddr, ServerHandle), Failed> {
    let table = TokenTable::parse(TOKENS)?;
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let mounted = coordinator.clone();
    let server = Connections::default().serve(listener, coordinator, move || {
        let routes = routes::<TokenPrincipal>(mounted.clone(), HttpOptions::default());
        App::new().app_data(table.clone()).configure(routes)
    })?;
    let handle = server.handle();
    rt::spawn(server);
    Ok((address, handle))
}

/// Cancels one after the other over a connection that stays open.
async fn delivered(
    coordinator: &Coordinator,
    address: SocketAddr,
    dropped: &Dropped,
) -> Result<Vec<Duration>, Failed> {
    let mut wire = Wire::open(address).await?;
    let mut took = Vec::new();
    for _ in 0..CANCELS {
        let task = wire.start("Watched", &json!({})).await?;
        let mut events = coordinator.watch(&task.parse()?, 1).await?;
        events.next().await.ok_or("it never began")??;
        let sent = Instant::now();
        let (status, told) = wire.call("POST", &format!("/cancel/{task}"), "{}").await?;
        let at = dropped.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        match at {
            Some(at) if status == 200 => took.push(at.saturating_duration_since(sent)),
            _ => return Err(format!("a cancel was answered with {status}: {told}").into()),
        }
    }
    Ok(took)
}

/// Keeps everything busy until the tasks that it gives are aborted.
async fn busy(
    coordinator: &Coordinator,
    address: SocketAddr,
) -> Result<Vec<rt::task::JoinHandle<()>>, Failed> {
    for _ in 0..std::thread::available_parallelism()?.get() {
        coordinator.start(StartRequest::new("tests", "SpinTask", "loops")).await?;
    }
    let idle = (0..TASKS).map(|_| coordinator.start(StartRequest::new("tests", "CleanupTask", "idle")));
    futures_util::future::try_join_all(idle).await?;
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let mut wire = Wire::open(address).await?;
        clients.push(rt::spawn(async move {
            // Until it is aborted, or the server goes.
            while let Ok(task) = wire.start("StuckTask", &json!({})).await {
                if wire.call("POST", &format!("/cancel/{task}"), "{}").await.is_err() {
                    return;
                }
            }
        }));
    }
    Ok(clients)
}
