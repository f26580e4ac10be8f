//! Which timeouts hold for a task: what was asked for, the defaults and the maxima of the server and of the model.
//!
//! Pure. Invariants: nothing above the maximum is ever granted, and what was asked for is granted as it is or refused,
//! never changed silently; where there is a maximum no task is without a timeout. A default is no promise to anybody:
//! one that meets a lower maximum of the other side (the model's default, the server's maximum) is cut to it.
//!
//! They are applied when a timeout is given. Tasks that exist keep theirs when a setting changes.

use crate::task::Timeout;

use super::{CommandError, ModelSettings, StartError};

/// The default and the maximum of one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Bounds {
    pub(crate) default: Option<Timeout>,
    pub(crate) max: Option<Timeout>,
}

impl Bounds {
    /// The default and the maximum, where they contradict each other.
    pub(crate) fn contradiction(self) -> Option<(Timeout, Timeout)> {
        self.default.zip(self.max).filter(|(default, max)| default > max)
    }
}

/// More was asked for than is granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLong {
    pub(crate) given: Timeout,
    pub(crate) most: Timeout,
}

/// What holds for the tasks of one model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeLimits {
    default: Option<Timeout>,
    max: Option<Timeout>,
    idle: Option<Timeout>,
}

impl TimeLimits {
    /// Of a task whose model is not known any more only the server's hold.
    pub(crate) fn new(server: Bounds, model: Option<&ModelSettings>) -> Self {
        let of_model = model.map(|model| model.times).unwrap_or_default();
        let max = match (server.max, of_model.max) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        let cut = |default: Option<Timeout>| match (default, max) {
            (Some(default), Some(max)) => Some(default.min(max)),
            (default, _) => default,
        };
        Self {
            default: cut(of_model.default.or(server.default)).or(max),
            max,
            idle: cut(model.and_then(|model| model.idle_timeout)),
        }
    }

    /// Both timeouts of a task that is started.
    pub(crate) fn of_start(
        self,
        total: Option<Timeout>,
        idle: Option<Timeout>,
    ) -> Result<(Option<Timeout>, Option<Timeout>), StartError> {
        let total = self
            .total(total)
            .map_err(|TooLong { given, most }| StartError::TimeoutTooLong { given, most })?;
        let idle = self
            .idle(idle)
            .map_err(|TooLong { given, most }| StartError::IdleTimeoutTooLong { given, most })?;
        Ok((total, idle))
    }

    /// The timeout of a task that is started.
    fn total(self, given: Option<Timeout>) -> Result<Option<Timeout>, TooLong> {
        Ok(self.granted(given)?.or(self.default))
    }

    /// The idle timeout of a task that is started.
    fn idle(self, given: Option<Timeout>) -> Result<Option<Timeout>, TooLong> {
        Ok(self.granted(given)?.or(self.idle))
    }

    /// A timeout that takes the place of an earlier one: none at all is the maximum, where there is one.
    pub(crate) fn moved(self, given: Option<Timeout>) -> Result<Option<Timeout>, TooLong> {
        Ok(self.granted(given)?.or(self.max))
    }

    /// What was given, where it may be.
    pub(crate) fn granted(self, given: Option<Timeout>) -> Result<Option<Timeout>, TooLong> {
        match (given, self.max) {
            (Some(given), Some(most)) if given > most => Err(TooLong { given, most }),
            _ => Ok(given),
        }
    }
}

impl From<TooLong> for CommandError {
    fn from(TooLong { given, most }: TooLong) -> Self {
        Self::TimeoutTooLong { given, most }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(seconds: u32) -> Option<Timeout> {
        // 0 stands for none.
        Timeout::from_seconds(f64::from(seconds)).ok()
    }

    fn limits(server: (u32, u32), model: (u32, u32), idle: u32) -> TimeLimits {
        let settings = ModelSettings {
            times: Bounds { default: some(model.0), max: some(model.1) },
            idle_timeout: some(idle),
            ..ModelSettings::new()
        };
        TimeLimits::new(Bounds { default: some(server.0), max: some(server.1) }, Some(&settings))
    }

    #[test]
    fn the_request_goes_before_the_model_that_before_the_server_and_last_the_maximum() {
        // (default, max) of the server and of the model, what was asked for, what is granted.
        let table = [
            ((0, 0), (0, 0), 0, 0),
            ((0, 0), (0, 0), 9, 9),
            ((5, 0), (0, 0), 0, 5),
            ((5, 0), (7, 0), 0, 7),
            ((5, 0), (7, 0), 9, 9),
            ((0, 8), (0, 0), 0, 8),
            ((0, 0), (0, 8), 0, 8),
            ((0, 8), (0, 6), 0, 6),
            ((0, 6), (0, 8), 0, 6),
            ((5, 8), (0, 6), 0, 5),
            ((5, 8), (0, 4), 0, 4),
            ((0, 4), (7, 9), 0, 4),
            ((5, 8), (7, 9), 8, 8),
        ];
        for (server, model, given, granted) in table {
            let total = limits(server, model, 0).total(some(given));
            assert_eq!(total, Ok(some(granted)), "{server:?} {model:?} {given}");
        }
    }

    #[test]
    fn more_than_the_smaller_maximum_is_refused_and_told() {
        for (server, model, most) in
            [((0, 8), (0, 0), 8), ((0, 0), (0, 8), 8), ((0, 20), (0, 8), 8), ((0, 8), (0, 20), 8)]
        {
            let limits = limits(server, model, 0);
            let told = Err(TooLong { given: some(9).unwrap(), most: some(most).unwrap() });
            assert_eq!(
                (limits.total(some(9)), limits.moved(some(9)), limits.idle(some(9))),
                (told, told, told)
            );
            assert_eq!(limits.total(some(8)), Ok(some(8)));
        }
    }

    #[test]
    fn a_timeout_that_is_taken_away_leaves_the_maximum() {
        assert_eq!(limits((5, 0), (7, 0), 0).moved(None), Ok(None));
        assert_eq!(limits((5, 8), (7, 9), 0).moved(None), Ok(some(8)));
        assert_eq!(limits((5, 8), (7, 9), 0).moved(some(3)), Ok(some(3)));
    }

    #[test]
    fn an_idle_timeout_is_none_unless_the_request_or_the_model_says_so() {
        assert_eq!(limits((5, 8), (7, 9), 0).idle(None), Ok(None));
        assert_eq!(limits((0, 0), (0, 0), 3).idle(None), Ok(some(3)));
        assert_eq!(limits((0, 0), (0, 0), 3).idle(some(4)), Ok(some(4)));
        assert_eq!(limits((0, 2), (0, 0), 3).idle(None), Ok(some(2)), "it could never pass otherwise");
    }

    #[test]
    fn of_an_unknown_model_the_servers_hold() {
        let limits = TimeLimits::new(Bounds { default: some(5), max: some(8) }, None);
        assert_eq!((limits.total(None), limits.moved(None)), (Ok(some(5)), Ok(some(8))));
    }

    #[test]
    fn a_default_above_its_own_maximum_contradicts_it() {
        assert!(Bounds { default: some(9), max: some(8) }.contradiction().is_some());
        for (default, max) in [(8, 8), (9, 0), (0, 8), (0, 0)] {
            assert_eq!(Bounds { default: some(default), max: some(max) }.contradiction(), None);
        }
    }
}
