//! How many connections there are, of everybody and of each address, and whether one more is welcome.
//!
//! Invariants: counts are exact, also where many come at once; a place is given back when it is dropped; an address
//! without connections takes no memory.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::http::proxies::TrustedProxies;
use crate::runtime::Refused;

/// The places of a server. Workers share one.
#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    most_of_one: usize,
    except: TrustedProxies,
    taken: AtomicUsize,
    of_each: Mutex<HashMap<IpAddr, usize>>,
    /// Whether the log knows that there are too many.
    is_told: AtomicBool,
}

/// A connection's place.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    address: Option<IpAddr>,
}

impl Places {
    /// For so many connections, and so many of one address (0: as many), but for those of these proxies.
    pub(super) fn new(most: usize, most_of_one: usize, except: TrustedProxies) -> Arc<Self> {
        Arc::new(Self {
            most,
            most_of_one,
            except,
            taken: AtomicUsize::new(0),
            of_each: Mutex::default(),
            is_told: AtomicBool::new(false),
        })
    }

    /// Takes a place for a connection from there.
    pub(super) fn take(self: &Arc<Self>, from: IpAddr) -> Result<Place, Refused> {
        let more = |taken: usize| (taken < self.most).then(|| taken.saturating_add(1));
        if self.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).is_err() {
            if !self.is_told.swap(true, Ordering::Relaxed) {
                tracing::warn!(connections = self.most, "all connections are taken: new ones are refused");
            }
            return Err(Refused::Limit);
        }
        // From here on what was taken is given back by its drop.
        let mut place = Place { places: Arc::clone(self), address: None };
        let from = from.to_canonical();
        if self.most_of_one > 0 && !self.except.trusts(from) {
            let one = network_of(from);
            let mut of_each = self.of_each();
            let count = of_each.entry(one).or_default();
            if *count >= self.most_of_one {
                return Err(Refused::Address);
            }
            *count = count.saturating_add(1);
            place.address = Some(one);
        }
        Ok(place)
    }

    fn of_each(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        // Each step leaves the map whole.
        self.of_each.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let places = &self.places;
        if let Some(address) = self.address {
            let mut of_each = places.of_each();
            if let Some(count) = of_each.get_mut(&address) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    of_each.remove(&address);
                }
            }
        }
        let taken = places.taken.fetch_sub(1, Ordering::AcqRel);
        // One line for each time that it fills up, not for each place that changes hands.
        if taken <= places.most / 2 && places.is_told.load(Ordering::Relaxed) {
            places.is_told.store(false, Ordering::Relaxed);
        }
    }
}

/// Whose an address is: whoever has one of IPv6 has its whole network of 64 bits.
fn network_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn i31_places_are_counted_exactly_though_all_come_at_once() {
        let places = Places::new(10, 0, TrustedProxies::default());
        let barrier = std::sync::Barrier::new(32);
        let taken: Vec<_> = std::thread::scope(|scope| {
            let one = || {
                barrier.wait();
                places.take(ip("192.0.2.1")).ok()
            };
            let threads: Vec<_> = (0..32).map(|_| scope.spawn(one)).collect();
            threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(taken.len(), 10);
        assert_eq!(places.take(ip("192.0.2.2")).unwrap_err(), Refused::Limit);
        drop(taken);
        assert_eq!(places.taken.load(Ordering::Relaxed), 0);
        assert!(places.take(ip("192.0.2.2")).is_ok());
    }

    #[test]
    fn i31_an_address_has_its_number_and_another_one_its_own() {
        let places = Places::new(100, 2, TrustedProxies::default());
        let two = [places.take(ip("192.0.2.1")).unwrap(), places.take(ip("::ffff:192.0.2.1")).unwrap()];
        assert_eq!(places.take(ip("192.0.2.1")).unwrap_err(), Refused::Address);
        assert!(places.take(ip("192.0.2.2")).is_ok());
        let of_a_network = [places.take(ip("2001:db8::1")).unwrap(), places.take(ip("2001:db8::2")).unwrap()];
        assert_eq!(places.take(ip("2001:db8::3")).unwrap_err(), Refused::Address);
        assert!(places.take(ip("2001:db8:0:1::1")).is_ok());
        drop(two);
        drop(of_a_network);
        assert!(places.take(ip("192.0.2.1")).is_ok());
        assert!(places.of_each().is_empty(), "an address without connections takes no memory");
        assert_eq!(places.taken.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_trusted_proxy_speaks_for_many() {
        let places = Places::new(100, 1, "192.0.2.0/24".parse().unwrap());
        let _many: Vec<_> = (0..10).map(|_| places.take(ip("192.0.2.7")).unwrap()).collect();
        let _one = places.take(ip("198.51.100.1")).unwrap();
        assert_eq!(places.take(ip("198.51.100.1")).unwrap_err(), Refused::Address);
    }
}
