//! Owns a server inside the test: an application of actix-web with our routes, for models, users and settings that
//! the program does not have.

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::web::ServiceConfig;
use actix_web::{App, HttpServer};
use quell::http::{Connections, HttpOptions, TokenPrincipal, TokenTable, on_connect, routes};
use quell::{Coordinator, Registry, Runtime, RuntimeSettings};
use tempfile::TempDir;

use super::client::Client;
use super::process::{token, tokens};

/// How long such a server may take to go down.
const BUDGET: Duration = Duration::from_secs(5);

/// A server in a thread of this process.
pub(crate) struct Hosted {
    pub(crate) coordinators: Vec<Coordinator>,
    base: String,
    server: ServerHandle,
    thread: Option<JoinHandle<()>>,
    folder: TempDir,
}

impl Hosted {
    /// One runtime with these models, at the root, for the people of the program's tests.
    pub(crate) async fn start(registry: Registry, settings: RuntimeSettings, options: HttpOptions) -> Self {
        Self::mount(vec![(registry, settings)], at_the_root(options)).await
    }

    /// The same behind our own door.
    pub(crate) async fn guarded(
        registry: Registry,
        settings: RuntimeSettings,
        options: HttpOptions,
        connections: Connections,
    ) -> Self {
        Self::behind(Some(connections), vec![(registry, settings)], at_the_root(options)).await
    }

    /// Several runtimes, mounted as the host likes.
    pub(crate) async fn mount(
        runtimes: Vec<(Registry, RuntimeSettings)>,
        mount: impl Fn(&[Coordinator], &mut ServiceConfig) + Clone + Send + 'static,
    ) -> Self {
        Self::behind(None, runtimes, mount).await
    }

    async fn behind(
        connections: Option<Connections>,
        runtimes: Vec<(Registry, RuntimeSettings)>,
        mount: impl Fn(&[Coordinator], &mut ServiceConfig) + Clone + Send + 'static,
    ) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().to_owned();
        let (tell, told) = tokio::sync::oneshot::channel();
        let thread = std::thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                let mut coordinators = Vec::new();
                for (number, (registry, mut settings)) in runtimes.into_iter().enumerate() {
                    // The default would end the test's own process.
                    settings.on_failure = Arc::new(|_| {});
                    let url = format!("sqlite://{}", path.join(format!("{number}.db")).display());
                    coordinators.push(Runtime::start(&url, registry, settings).await.expect("it starts"));
                }
                let mounted = coordinators.clone();
                let app = move || App::new().configure(|config| mount(&mounted, config));
                let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
                let address = listener.local_addr().expect("an address");
                let server = match connections {
                    Some(connections) => {
                        connections.workers(1).serve(listener, &coordinators[0], app).expect("it serves")
                    }
                    None => HttpServer::new(app)
                        .workers(1)
                        .on_connect(on_connect)
                        .disable_signals()
                        .h1_allow_half_closed(false)
                        .shutdown_timeout(1)
                        .listen(listener)
                        .expect("it serves")
                        .run(),
                };
                assert!(tell.send((coordinators, address, server.handle())).is_ok(), "the test waits");
                server.await.expect("it serves");
            });
        });
        let (coordinators, address, server) = told.await.expect("it starts");
        Self { coordinators, base: format!("http://{address}"), server, thread: Some(thread), folder }
    }

    pub(crate) fn address(&self) -> &str {
        self.base.strip_prefix("http://").expect("it is http")
    }

    /// The database of a runtime.
    pub(crate) fn database(&self, number: usize) -> PathBuf {
        self.folder.path().join(format!("{number}.db"))
    }

    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    pub(crate) fn client(&self, name: &str) -> Client {
        Client::new(&self.base, &token(name))
    }

    /// Ends the runtimes and the server.
    pub(crate) async fn stop(mut self) {
        for coordinator in &self.coordinators {
            coordinator.shutdown(BUDGET).await;
        }
        self.server.stop(false).await;
        if let Some(thread) = self.thread.take() {
            tokio::task::spawn_blocking(move || thread.join()).await.expect("it ends").expect("no panic");
        }
    }
}

/// The routes of the first runtime.
fn at_the_root(options: HttpOptions) -> impl Fn(&[Coordinator], &mut ServiceConfig) + Clone + Send + 'static {
    move |coordinators, config| {
        let table = TokenTable::parse(&tokens()).expect("tokens");
        config.app_data(table);
        config.configure(routes::<TokenPrincipal>(coordinators[0].clone(), options.clone()));
    }
}
