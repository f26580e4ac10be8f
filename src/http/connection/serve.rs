//! A server whose connections are bounded: in number, and in the time that each takes.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{ConnectionType, HttpService, Protocol, Request, StatusCode};
use actix_service::{IntoServiceFactory, ServiceFactoryExt, apply_fn_factory, map_config};
use actix_web::body::MessageBody;
use actix_web::dev::{AppConfig, Response, Server, Service, ServiceFactory, fn_service};
use actix_web::rt::net::TcpStream;

use crate::Coordinator;
use crate::http::proxies::TrustedProxies;
use crate::runtime::ConnectionNumbers;

use super::count::Places;
use super::guarded::Guarded;
use super::progress::{Answering, InHand, Progress, answering};
use super::socket;

/// How long a connection may linger after an answer that came before the end of its request.
const LINGER: Duration = Duration::from_secs(1);

/// What a stream gathers before it is written: the size that the dispatcher's buffer has from the start, so that
/// thousands of readers who fall behind cost little more than those who do not.
const WRITE_BYTES: usize = 8 * 1024;

/// Seconds that a graceful stop waits for connections.
const STOP_SECONDS: u64 = 1;

/// What is sent to a connection that finds no place, where its socket takes it.
const NO_PLACE: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// The connections of a server: how many there may be, and how long each may take.
///
/// ```no_run
/// use actix_web::App;
/// use quell::http::{Connections, HttpOptions, TokenPrincipal, routes};
///
/// # async fn run(coordinator: quell::Coordinator) -> std::io::Result<()> {
/// let listener = std::net::TcpListener::bind("127.0.0.1:8888")?;
/// let connections = Connections::default().max(10_000).max_per_address(100);
/// let jobs = coordinator.clone();
/// let server = connections.serve(listener, &coordinator, move || {
///     App::new().configure(routes::<TokenPrincipal>(jobs.clone(), HttpOptions::default()))
/// })?;
/// server.await
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Connections {
    most: usize,
    most_of_one: usize,
    except: TrustedProxies,
    head_deadline: Duration,
    reader_patience: Duration,
    workers: Option<usize>,
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            most: 25_000,
            most_of_one: 0,
            except: TrustedProxies::default(),
            head_deadline: Duration::from_secs(10),
            reader_patience: Duration::from_secs(30),
            workers: None,
        }
    }
}

impl Connections {
    /// How many there may be at once; 25,000 by default. One more is closed at once, those that are there go on.
    ///
    /// Each takes a file descriptor of the process.
    #[must_use]
    pub fn max(mut self, most: usize) -> Self {
        self.most = most;
        self
    }

    /// How many there may be of one address (of IPv6: of one /64 network); 0 is no limit, the default.
    #[must_use]
    pub fn max_per_address(mut self, most: usize) -> Self {
        self.most_of_one = most;
        self
    }

    /// Whose connections are not counted by address, because they carry other people's requests; none by default.
    #[must_use]
    pub fn trusted_proxies(mut self, proxies: TrustedProxies) -> Self {
        self.except = proxies;
        self
    }

    /// How long the head of a request may take, from the opening of the connection or the end of the answer before it;
    /// 10 s by default. One that is not whole by then is answered with 408, and the connection ends.
    #[must_use]
    pub fn head_deadline(mut self, deadline: Duration) -> Self {
        self.head_deadline = deadline;
        self
    }

    /// How long a reader may take nothing of what waits for it, before the kernel ends the connection; 30 s by default.
    #[must_use]
    pub fn reader_patience(mut self, patience: Duration) -> Self {
        self.reader_patience = patience;
        self
    }

    /// Threads that serve; one for each core by default.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers.max(1));
        self
    }

    /// Starts a server on a socket, as `HttpServer` does, without its handling of signals and without half-closed
    /// connections. What happens to connections is counted among the numbers of the coordinator.
    ///
    /// The `AppConfig` of the application is the default one: no request here is answered by its name.
    ///
    /// # Errors
    /// What the system says where the socket is not usable.
    pub fn serve<F, I, S, B>(
        self,
        listener: TcpListener,
        coordinator: &Coordinator,
        factory: F,
    ) -> io::Result<Server>
    where
        F: Fn() -> I + Send + Clone + 'static,
        I: IntoServiceFactory<S, Request>,
        S: ServiceFactory<Request, Config = AppConfig> + 'static,
        S::Error: Into<actix_web::Error> + 'static,
        S::InitError: fmt::Debug,
        S::Response: Into<Response<B>> + 'static,
        S::Service: 'static,
        <S::Service as Service<Request>>::Future: 'static,
        B: MessageBody + 'static,
    {
        let address = listener.local_addr()?;
        let mut builder = Server::build()
            .disable_signals()
            .shutdown_timeout(STOP_SECONDS)
            // Connections past the limit are refused here, not left waiting before they are accepted.
            .max_concurrent_connections(usize::MAX - 1);
        if let Some(workers) = self.workers {
            builder = builder.workers(workers);
        }
        let stopping = builder.graceful_shutdown_signal();
        let door = Arc::new(Door {
            places: Places::new(self.most, self.most_of_one, self.except),
            numbers: coordinator.connection_numbers(),
            head_deadline: self.head_deadline,
            reader_patience: self.reader_patience,
        });
        let builder = builder.listen("quell", listener, move || {
            let stopping = stopping.clone();
            let app = factory().into_factory().map_err(|error: S::Error| error.into().error_response());
            let app = map_config(app, |()| AppConfig::default());
            let http = HttpService::build()
                .graceful_shutdown_signal(move || {
                    let stopping = stopping.clone();
                    async move { stopping.notified().await }
                })
                // Each head has a deadline, the first as well as any later one.
                .client_request_timeout(Duration::ZERO)
                .client_disconnect_timeout(LINGER)
                .h1_allow_half_closed(false)
                .h1_write_buffer_size(WRITE_BYTES)
                .local_addr(address)
                .on_connect_ext(|io: &Guarded, data| {
                    data.insert(Rc::clone(io.progress()));
                })
                .finish(apply_fn_factory(app, |request: Request, app| {
                    let in_hand = request.conn_data::<Rc<Progress>>().map(Progress::begin);
                    let answer = app.call(request);
                    async move { Ok(kept_in_hand(answer.await?.into(), in_hand)) }
                }));
            let door = Arc::clone(&door);
            fn_service(move |io: TcpStream| std::future::ready(door.enter(io))).and_then(http)
        })?;
        Ok(builder.run())
    }
}

/// An answer that its connection knows of until it has left.
fn kept_in_hand<B: MessageBody>(mut answer: Response<B>, in_hand: Option<InHand>) -> Response<Answering<B>> {
    if answer.status() == StatusCode::REQUEST_TIMEOUT {
        // actix-web would go on reading the rest of a chunked body for as long as it comes.
        answer.head_mut().set_connection_type(ConnectionType::Close);
    }
    if let (Some(in_hand), ConnectionType::Close) = (&in_hand, answer.head().connection_type()) {
        in_hand.is_last();
    }
    answer.map_body(|_, body| answering(body, in_hand))
}

/// What each new connection goes through. Workers share one.
struct Door {
    places: Arc<Places>,
    numbers: ConnectionNumbers,
    head_deadline: Duration,
    reader_patience: Duration,
}

impl Door {
    fn enter(&self, io: TcpStream) -> Result<(Guarded, Protocol, Option<SocketAddr>), DispatchError> {
        // An error: it has left again.
        let from = io.peer_addr().map_err(DispatchError::Io)?;
        match self.places.take(from.ip()) {
            Ok(place) => {
                socket::prepare(&io, self.reader_patience);
                let progress = Progress::new(self.head_deadline);
                Ok((Guarded::new(io, progress, &self.numbers, place), Protocol::Http1, Some(from)))
            }
            Err(refused) => {
                self.numbers.refused(refused);
                socket::refuse(&io, NO_PLACE);
                Err(DispatchError::Io(io::Error::other("there is no place for this connection")))
            }
        }
    }
}
