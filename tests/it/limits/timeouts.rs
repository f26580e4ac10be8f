//! Defaults and maxima of timeouts, of the runtime and of models.

use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use quell::task::{Cause, StoppedBy, TaskKey, Timeout};
use quell::{
    CommandError, ModelSettings, Registry, RegistryError, Runtime, RuntimeError, RuntimeSettings, StartError,
    Task, TaskContext, TaskError,
};

use crate::support::{Plain, Session, World, request, seconds, stop_of};

macro_rules! models {
    ($($name:ident = $settings:expr;)+) => {$(
        #[derive(serde::Deserialize)]
        struct $name {}

        impl Task for $name {
            const APP: &'static str = "limits";
            const MODEL: &'static str = stringify!($name);
            type Output = ();

            fn settings() -> ModelSettings {
                $settings
            }

            async fn process(&self, ctx: TaskContext) -> Result<(), TaskError> {
                Err(ctx.cancelled().await.into())
            }
        }
    )+};
}

models! {
    Narrow = ModelSettings::new().timeout(seconds(20.0)).max_timeout(seconds(40.0));
    Wide = ModelSettings::new().timeout(seconds(900.0)).max_timeout(seconds(1_000.0));
    Nervous = ModelSettings::new().idle_timeout(seconds(0.2));
    Contradicts = ModelSettings::new().timeout(seconds(2.0)).max_timeout(seconds(1.0));
    ContradictsIdle = ModelSettings::new().idle_timeout(seconds(2.0)).max_timeout(seconds(1.0));
}

fn with(default: Option<f64>, max: Option<f64>) -> World {
    let change = |settings: &mut RuntimeSettings| {
        settings.default_timeout = default.map(seconds);
        settings.max_timeout = max.map(seconds);
    };
    let world = World::with_types(change, |registry| {
        registry.task::<Narrow>().unwrap().task::<Wide>().unwrap().task::<Nervous>().unwrap()
    });
    world.body("waits", |_, _| std::future::pending());
    world
}

fn of(model: &str, timeout: Option<f64>) -> quell::StartRequest {
    let mut request = quell::StartRequest::new("limits", model, "alice");
    request.timeout = timeout.map(seconds);
    request
}

async fn granted(s: &Session, model: &str, timeout: Option<f64>) -> Option<Timeout> {
    let record = s.start(of(model, timeout)).await.unwrap();
    assert_eq!(s.task(&record.key).await.unwrap().timeout, record.timeout);
    record.timeout
}

#[test]
fn defaults_and_maxima_hold_as_the_model_and_the_server_say() {
    with(Some(60.0), Some(100.0)).run(async |s| {
        assert_eq!(granted(&s, "Narrow", None).await, Some(seconds(20.0)));
        assert_eq!(granted(&s, "Narrow", Some(40.0)).await, Some(seconds(40.0)));
        // Its default is above the server's maximum, and cut to it.
        assert_eq!(granted(&s, "Wide", None).await, Some(seconds(100.0)));
        assert_eq!(granted(&s, "Nervous", None).await, Some(seconds(60.0)));
        for (model, given, most) in
            [("Narrow", 40.5, 40.0), ("Wide", 500.0, 100.0), ("Nervous", 101.0, 100.0)]
        {
            let refused = s.start(of(model, Some(given))).await;
            let Err(StartError::TimeoutTooLong { given: told, most: limit }) = refused else {
                panic!("{refused:?}")
            };
            assert_eq!((told, limit), (seconds(given), seconds(most)));
            let idle = of(model, None).idle_timeout(seconds(given));
            let refused = s.start(idle).await;
            assert!(matches!(refused, Err(StartError::IdleTimeoutTooLong { .. })), "{refused:?}");
        }
    });
}

#[test]
fn a_start_by_hand_and_a_moved_deadline_follow_the_same_rules() {
    with(None, Some(100.0)).run(async |s| {
        let key = s.create(of("Narrow", None)).await.unwrap().key;
        let too_long = |refused: Result<(), CommandError>| {
            let Err(CommandError::TimeoutTooLong { most, .. }) = refused else { panic!("{refused:?}") };
            assert_eq!(most, seconds(40.0));
        };
        too_long(s.set_timeout(&key, Some(seconds(41.0))).await.map(drop));
        too_long(s.start_task(&key, Some(seconds(41.0))).await.map(drop));
        s.start_task(&key, None).await.unwrap();
        assert_eq!(s.task(&key).await.unwrap().timeout, Some(seconds(20.0)), "as it was created");
        assert_eq!(s.set_timeout(&key, None).await.unwrap().timeout, Some(seconds(40.0)));
        let plain: TaskKey = s.begin::<Plain>("waits").await;
        assert_eq!(s.set_timeout(&plain, None).await.unwrap().timeout, Some(seconds(100.0)));
    });
}

/// A task whose time is short, and a stranger who locks the database.
async fn short_and_locked(s: &Session) -> (TaskKey, SqliteConnection) {
    let key = s.start(request::<Plain>("waits").timeout(seconds(0.3))).await.unwrap().key;
    let mut stranger = SqliteConnection::establish(s.world.database().to_str().unwrap()).unwrap();
    stranger.batch_execute("PRAGMA busy_timeout = 10000; BEGIN IMMEDIATE").unwrap();
    (key, stranger)
}

#[test]
fn i14_a_deadline_that_passes_while_it_is_moved_does_not_count() {
    with(None, None).run(async |s| {
        let (key, mut stranger) = short_and_locked(&s).await;
        let mut moved = Box::pin(s.set_timeout(&key, Some(seconds(100.0))));
        let passes = std::time::Duration::from_millis(400);
        assert!(tokio::time::timeout(passes, &mut moved).await.is_err(), "it is not durable yet");
        stranger.batch_execute("ROLLBACK").unwrap();
        let record = moved.await.unwrap();
        assert_eq!((record.timeout, record.cancel), (Some(seconds(100.0)), None));
        s.stop(&key, "enough").await;
        let record = s.ended(&key).await;
        assert_eq!(stop_of(&record), ("enough", Cause::User, StoppedBy::Dropped));
    });
}

#[test]
fn i14_a_deadline_that_could_not_be_moved_holds_though_it_passed_meanwhile() {
    with(None, None).run(async |s| {
        let (key, mut stranger) = short_and_locked(&s).await;
        let refused = s.set_timeout(&key, Some(seconds(100.0))).await;
        assert!(matches!(refused, Err(CommandError::Refused(_))), "{refused:?}");
        stranger.batch_execute("ROLLBACK").unwrap();
        let record = s.ended(&key).await;
        assert_eq!(stop_of(&record), ("Timeout after 0.3s", Cause::Timeout, StoppedBy::Dropped));
        assert_eq!(record.timeout, Some(seconds(0.3)));
    });
}

#[test]
fn an_idle_timeout_of_the_model_holds_where_the_start_names_none() {
    with(None, None).run(async |s| {
        let started = s.start(of("Nervous", None)).await.unwrap();
        assert_eq!(started.idle_timeout, Some(seconds(0.2)));
        let cancel = s.ended(&started.key).await.cancel.unwrap();
        assert_eq!((cancel.cause, &*cancel.reason), (Cause::Idle, "Idle for 0.2s"));
        let patient = s.start(of("Nervous", None).idle_timeout(seconds(600.0))).await.unwrap();
        assert_eq!(patient.idle_timeout, Some(seconds(600.0)));
    });
}

#[test]
fn settings_that_contradict_each_other_are_refused_at_the_start() {
    let told = Registry::new().task::<Contradicts>().map(drop).unwrap_err();
    assert!(matches!(told, RegistryError::DefaultAboveMaximum { .. }), "{told}");
    assert!(!told.to_string().contains('\n') && told.to_string().contains("limits/Contradicts"), "{told}");
    let told = Registry::new().task::<ContradictsIdle>().map(drop).unwrap_err();
    assert!(matches!(told, RegistryError::DefaultAboveMaximum { .. }), "{told}");

    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/quell.db", dir.path().display());
    let settings = RuntimeSettings {
        default_timeout: Some(seconds(2.0)),
        max_timeout: Some(seconds(1.0)),
        ..RuntimeSettings::default()
    };
    let refused = actix::System::new().block_on(Runtime::start(&url, Registry::new(), settings));
    assert!(matches!(refused, Err(RuntimeError::DefaultAboveMaximum { .. })), "{refused:?}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing was made");
}
