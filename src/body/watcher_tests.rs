//! Every judgement of the watchdog, without a clock.

use super::*;

/// A pool whose threads are moved by hand, looked at every tick.
struct Pool {
    watcher: Watcher,
    threads: Vec<Sight>,
    queue_moves: bool,
}

impl Pool {
    fn new(base: usize, limit: usize) -> Self {
        let mut pool =
            Self { watcher: Watcher::new(Bounds { base, limit }), threads: Vec::new(), queue_moves: false };
        (1..=base).for_each(|number| pool.add(number));
        pool
    }

    fn add(&mut self, number: usize) {
        self.threads.push(Sight { number, polls: 0, label: 0, is_leaving: false, waiting: 0 });
    }

    /// The thread goes into the next poll, for that body, and stays there.
    fn stick(&mut self, number: usize, label: Label) {
        let thread = self.threads.iter_mut().find(|thread| thread.number == number).unwrap();
        (thread.polls, thread.label) = (thread.polls / 2 * 2 + 3, label);
    }

    fn free(&mut self, number: usize) {
        let thread = self.threads.iter_mut().find(|thread| thread.number == number).unwrap();
        thread.polls = thread.polls / 2 * 2 + 2;
    }

    fn look(&mut self) -> Orders {
        self.look_after(TICK)
    }

    fn look_after(&mut self, elapsed: Duration) -> Orders {
        self.watcher.look(elapsed, &self.threads, self.queue_moves)
    }

    /// What was ordered within that time: threads added, threads dismissed, bodies named.
    fn run(&mut self, time: Duration) -> (usize, Vec<usize>, Vec<Label>) {
        let (mut added, mut dismissed, mut named) = (0, Vec::new(), Vec::new());
        for _ in 0..time.as_millis() / TICK.as_millis() {
            let orders = self.look();
            if orders.add {
                added += 1;
                let next = self.threads.iter().map(|thread| thread.number).max().unwrap_or(0) + 1;
                self.add(next);
            }
            if let Some(number) = orders.dismiss {
                dismissed.push(number);
                self.threads.retain(|thread| thread.number != number);
            }
            named.extend(orders.name);
        }
        (added, dismissed, named)
    }
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn a_thread_is_added_when_ready_work_has_waited_behind_stuck_threads() {
    let mut pool = Pool::new(2, 8);
    pool.stick(1, 7);
    assert_eq!(pool.run(ms(900)), (0, vec![], vec![]), "the other thread is free");
    pool.stick(2, 8);
    assert_eq!(pool.run(ms(100)).0, 0, "not yet");
    assert_eq!(pool.run(ms(50)).0, 1);
}

#[test]
fn no_thread_is_added_while_the_queue_moves() {
    let mut pool = Pool::new(2, 8);
    for _ in 0..100 {
        // Both are always inside some poll, never in the same one.
        pool.stick(1, 7);
        pool.stick(2, 8);
        pool.queue_moves = true;
        assert!(!pool.look().add);
    }
    assert_eq!(pool.threads.len(), 2);
}

#[test]
fn many_endless_loops_get_a_thread_each_up_to_the_limit_and_then_the_pool_is_full() {
    let mut pool = Pool::new(2, 5);
    for number in 1..=5 {
        assert!(!pool.watcher.is_full());
        pool.stick(number, 7);
        if number >= 2 {
            pool.run(ms(150));
        }
    }
    assert_eq!(pool.threads.len(), 5);
    assert!(pool.watcher.is_full());
    pool.free(3);
    pool.queue_moves = true;
    pool.look();
    assert!(!pool.watcher.is_full());
}

#[test]
fn while_nothing_is_polled_for_a_while_it_looks_no_more() {
    let mut pool = Pool::new(2, 4);
    let is_quiet = |pool: &mut Pool| {
        pool.look();
        pool.watcher.pause().is_none()
    };
    assert_eq!(pool.watcher.pause(), Some(TICK));
    let looks = QUIET.as_millis() / TICK.as_millis();
    // The first look knows of no poll before it.
    assert!((0..=looks).all(|_| !is_quiet(&mut pool)));
    assert!(is_quiet(&mut pool) && pool.watcher.is_quiet(&pool.threads));
    pool.stick(1, 7);
    assert!(!pool.watcher.is_quiet(&pool.threads));
    assert!((0..looks * 2).all(|_| !is_quiet(&mut pool)));
    // A poll that has come and gone is no rest either.
    pool.free(1);
    assert!(!pool.watcher.is_quiet(&pool.threads));
    assert!((0..=looks).all(|_| !is_quiet(&mut pool)));
    assert!(is_quiet(&mut pool));
}

#[test]
fn it_goes_on_looking_while_there_are_threads_too_many_or_too_few() {
    let mut pool = Pool::new(1, 4);
    pool.add(2);
    let (_, dismissed, _) = pool.run(PATIENCE + TICK * 2);
    assert_eq!((dismissed, pool.watcher.pause()), (vec![2], Some(TICK)));
    pool.run(QUIET + TICK * 2);
    assert_eq!(pool.watcher.pause(), None);
    // Its start fails.
    pool.threads.clear();
    for _ in 0..PATIENCE.as_millis() / TICK.as_millis() * 2 {
        pool.look();
        assert_eq!(pool.watcher.pause(), Some(TICK));
    }
}

#[test]
fn a_lost_thread_is_replaced_though_nothing_waits() {
    let mut pool = Pool::new(2, 8);
    pool.stick(1, 7);
    assert_eq!(pool.run(ms(1_500)), (1, vec![], vec![7]));
    assert_eq!(pool.run(ms(5_000)), (0, vec![], vec![]), "once");
}

#[test]
fn threads_that_are_not_needed_any_more_leave_and_the_base_number_stays() {
    let mut pool = Pool::new(2, 8);
    for number in 1..=6 {
        pool.stick(number, 7);
        pool.run(ms(150));
    }
    let many = pool.threads.len();
    assert!(many > 6, "{many}");
    pool.queue_moves = true;
    (1..=6).for_each(|number| pool.free(number));
    assert_eq!(pool.run(ms(900)).1, Vec::<usize>::new(), "not at once");
    let left = pool.run(ms(1_000)).1;
    assert_eq!((left.len(), pool.threads.len()), (many - 2, 2));
    assert_eq!(pool.run(ms(5_000)), (0, vec![], vec![]));
}

#[test]
fn a_body_is_named_once_and_the_next_one_too() {
    let mut pool = Pool::new(1, 1);
    pool.stick(1, 7);
    assert_eq!(pool.run(ms(5_000)).2, [7]);
    pool.stick(1, 8);
    assert_eq!(pool.run(ms(900)).2, Vec::<Label>::new());
    assert_eq!(pool.run(ms(200)).2, [8]);
}

#[test]
fn what_waits_behind_a_stuck_thread_is_moved() {
    let mut pool = Pool::new(2, 8);
    pool.threads[0].waiting = 3;
    pool.stick(1, 7);
    pool.stick(2, 7);
    for _ in 0..4 {
        assert_eq!(pool.look().share, [], "none is stuck yet");
        pool.stick(2, 7);
    }
    assert_eq!(pool.look().share, [(1, 3)], "though it is little");
    pool.free(1);
    assert_eq!(pool.look().share, []);
}

#[test]
fn a_thread_with_much_more_than_another_gives_half_of_it_away() {
    let mut pool = Pool::new(3, 8);
    let share = |pool: &mut Pool, waiting: [usize; 3]| {
        for (thread, waiting) in pool.threads.iter_mut().zip(waiting) {
            thread.waiting = waiting;
        }
        pool.look().share
    };
    assert_eq!(share(&mut pool, [30, 0, 0]), [], "little");
    assert_eq!(share(&mut pool, [1_000, 900, 800]), [], "even");
    assert_eq!(share(&mut pool, [400, 100, 200]), [(1, 150)]);
    assert_eq!(share(&mut pool, [100_000, 0, 0]), [(1, MOST_MOVED)]);
}

#[test]
fn a_pause_of_the_process_makes_nobody_stuck() {
    let mut pool = Pool::new(1, 8);
    pool.stick(1, 7);
    pool.look();
    let orders = pool.look_after(Duration::from_secs(3600));
    assert_eq!(orders.name, Vec::<Label>::new());
}

#[test]
fn a_thread_that_cannot_be_started_is_not_tried_at_each_look() {
    let mut pool = Pool::new(1, 8);
    pool.stick(1, 7);
    let mut tries = 0;
    for _ in 0..80 {
        if pool.look().add {
            tries += 1;
            pool.watcher.add_failed();
            pool.look();
            assert!(pool.watcher.is_full());
        }
    }
    assert!((1..=3).contains(&tries), "{tries}");
}
