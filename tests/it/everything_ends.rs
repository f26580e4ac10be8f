//! Rows and bodies agree: whatever happened before, the rows that say `running` are those whose body is alive.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use quell::task::{Status, TaskId, TaskKey};

use crate::support::{Brief, Graced, LONG, Plain, Session, World, eventually, request, seconds};

type Alive = Arc<Mutex<BTreeSet<TaskId>>>;

/// Stands in a body: tells for how long it is there.
struct Body(Alive, TaskId);

impl Body {
    fn new(alive: &Alive, id: TaskId) -> Self {
        alive.lock().unwrap().insert(id);
        Self(Arc::clone(alive), id)
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.0.lock().unwrap().remove(&self.1);
    }
}

fn world() -> (World, Alive) {
    let (world, alive) = (World::with(|settings| settings.max_running = 40), Alive::default());
    let here = Arc::clone(&alive);
    world.body("waits", move |ctx, _| {
        let body = Body::new(&here, ctx.key().id);
        async move {
            let _body = body;
            std::future::pending().await
        }
    });
    let here = Arc::clone(&alive);
    world.body("returns when asked", move |ctx, _| {
        let body = Body::new(&here, ctx.key().id);
        async move {
            let _body = body;
            ctx.cancelled().await;
            Ok(serde_json::json!("after all"))
        }
    });
    let here = Arc::clone(&alive);
    world.body("panics", move |ctx, _| {
        let body = Body::new(&here, ctx.key().id);
        async move {
            let _body = body;
            panic!("as asked")
        }
    });
    (world, alive)
}

async fn running(s: &Session, keys: &[TaskKey]) -> BTreeSet<TaskId> {
    let mut ids = BTreeSet::new();
    for key in keys {
        if s.task(key).await.unwrap().status == Status::Running {
            ids.insert(key.id);
        }
    }
    ids
}

#[test]
fn i04_rows_that_say_running_are_the_bodies_that_are_alive() {
    let (world, alive) = world();
    let keys = world.run(async |s| {
        let mut keys = Vec::new();
        for _ in 0..15 {
            keys.push(s.begin::<Plain>("waits").await);
            keys.push(s.begin::<Graced>("returns when asked").await);
            keys.push(s.begin::<Brief>("panics").await);
            keys.push(s.start(request::<Plain>("waits").timeout(seconds(0.05))).await.unwrap().key);
        }
        let agree = async || running(&s, &keys).await == *alive.lock().unwrap();
        eventually("rows and bodies agree after the starts", agree).await;
        // Some are asked to stop, all at once, and some of those twice.
        let asked = keys.iter().step_by(3).chain(keys.iter().step_by(6)).cloned();
        let stops = asked.map(|key| {
            let s = s.clone();
            async move { s.stop(&key, "enough").await }
        });
        let all = tokio::time::timeout(LONG, futures_util::future::join_all(stops)).await;
        assert!(all.is_ok(), "some do not stop");
        eventually("rows and bodies agree after the stops", agree).await;
        assert!(!alive.lock().unwrap().is_empty(), "some go on");
        keys
    });
    assert!(alive.lock().unwrap().is_empty(), "bodies live on after the shutdown");
    world.run(async |s| {
        assert_eq!(running(&s, &keys).await, BTreeSet::new());
        for key in &keys {
            assert!(s.task(key).await.unwrap().status.is_terminal(), "`{key}` never ended");
        }
    });
}
