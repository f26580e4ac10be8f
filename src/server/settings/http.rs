//! Owns the settings of the HTTP layer: what clients see, and how much of it they may take.

use crate::http::TrustedProxies;

use super::error::SettingsError;
use super::layers::Layers;
use super::{Flags, parse};

/// What clients of the HTTP layer may do and take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpSettings {
    /// Whether other people's tasks are answered as if they did not exist.
    pub hide_foreign_tasks: bool,
    /// The origins whose pages may call.
    pub cors_origins: Vec<String>,
    /// The proxies that are believed about where a request comes from.
    pub trusted_proxies: TrustedProxies,
    /// Requests per minute and principal; 0 is no limit.
    pub rate_limit: u32,
    /// Streams at once of each principal; 0 is no limit.
    pub max_streams_per_principal: usize,
    /// Connections at once; none takes the default, or what the limit of open files allows.
    pub max_connections: Option<usize>,
    /// Connections at once of one address; 0 is no limit.
    pub max_connections_per_address: usize,
}

pub(super) fn http(layers: &Layers<'_>, flags: &Flags) -> Result<HttpSettings, SettingsError> {
    let hide = flags.hide_foreign_tasks.as_ref();
    let rate = layers.read("rate_limit", flags.rate_limit.as_ref(), 0, |given| parse::count(given, 0))?;
    let streams = flags.max_streams_per_principal.as_ref();
    let origins = layers.list("cors_origin", &flags.cors_origin);
    let proxies = layers.list("trusted_proxy", &flags.trusted_proxy);
    Ok(HttpSettings {
        hide_foreign_tasks: layers.read("hide_foreign_tasks", hide, false, parse::switch)?,
        cors_origins: origins.map_or(Ok(Vec::new()), |given| parse::origins(&given))?,
        trusted_proxies: proxies.map_or(Ok(TrustedProxies::default()), |given| parse::proxies(&given))?,
        rate_limit: u32::try_from(rate).unwrap_or(u32::MAX),
        max_streams_per_principal: layers
            .read("max_streams_per_principal", streams, 0, |given| parse::count(given, 0))?,
        max_connections: layers.read("max_connections", flags.max_connections.as_ref(), None, |given| {
            parse::count(given, 1).map(Some)
        })?,
        max_connections_per_address: layers.read(
            "max_connections_per_address",
            flags.max_connections_per_address.as_ref(),
            0,
            |given| parse::count(given, 0),
        )?,
    })
}
