//! The boundary alone.

use super::super::boundary::release;
use super::*;

#[test]
fn a_call_that_panics_answers_its_text() {
    assert_eq!(catch(|| 7), Ok(7));
    assert_eq!(catch(|| -> u8 { panic!("plain") }), Err("plain".to_owned()));
    assert_eq!(catch(|| -> u8 { panic!("with {}", 1) }), Err("with 1".to_owned()));
    let odd = catch(|| -> u8 { std::panic::panic_any(PanicPayload) });
    assert_eq!(odd, Err("a panic without a text".to_owned()));
}

#[test]
fn i17_a_panicking_drop_is_held_back() {
    release("test", PanicDrop);
    let guard = PanicDrop;
    drop(Contained::new("test", async move {
        let _guard = guard;
    }));
}

#[test]
fn a_contained_future_that_has_ended_says_so() {
    let mut future = Box::pin(Contained::new("test", async { 1 }));
    assert_eq!(futures_lite::future::block_on(future.as_mut()), Ok(1));
    assert_eq!(futures_lite::future::block_on(future), Err("polled after its end".to_owned()));
}
