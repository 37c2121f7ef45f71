//! Reads a failed connection off the error of the HTTP client: where it failed and why. The errors of rustls and of the operating
//! system have types; those of the client's tunnels have words alone.

use std::error::Error;
use std::io;

use rustls::{AlertDescription, CertificateError, InvalidMessage};

use super::failure::{Cause, Distrust, Hop};

/// What an error tells.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// Where and why.
    Told(Hop, Cause),
    /// Something about the proxy, which has to be asked.
    AskProxy,
}

/// An error and its causes, also those that an I/O error wraps.
pub(super) fn causes<'a>(error: &'a (dyn Error + 'static)) -> Vec<&'a (dyn Error + 'static)> {
    let mut found = Vec::new();
    let mut next = Some(error);
    while let Some(one) = next {
        found.push(one);
        let wrapped = one.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match wrapped {
            Some(inner) => Some(inner),
            None => one.source(),
        };
    }
    found
}

/// Reads the error of a request that brought no connection. `has_proxy`: a proxy is on the way.
pub(super) fn read(causes: &[&(dyn Error + 'static)], is_timeout: bool, has_proxy: bool) -> Reading {
    let words: Vec<String> = causes.iter().map(ToString::to_string).collect();
    let says = |part: &str| words.iter().any(|text| text.contains(part));
    let cause = cause(causes, is_timeout, says("dns error"));
    if !has_proxy {
        return Reading::Told(Hop::Server, cause);
    }
    // hyper-util and reqwest have these messages, and no public types for them.
    if says("proxy authorization required") || says("credentials not accepted") {
        return Reading::Told(Hop::Proxy, Cause::Credentials);
    }
    if says("does not support user/pass authentication") {
        return Reading::Told(Hop::Proxy, Cause::NotProxy);
    }
    if says("tunnel error: unsuccessful") || is_timeout {
        return Reading::AskProxy;
    }
    if says("tunnel error: failed to create underlying connection") {
        return Reading::Told(Hop::Proxy, cause);
    }
    if says("tunnel error:") {
        return Reading::Told(Hop::Proxy, Cause::Closed);
    }
    if says("error resolving for socks proxy") {
        return Reading::Told(Hop::Server, Cause::Name);
    }
    if says("SOCKS error: failed to create underlying connection") {
        return Reading::AskProxy;
    }
    if says("SOCKS error: failed parsing") || says("SOCKS error: io error") {
        return Reading::Told(Hop::Proxy, Cause::NotProxy);
    }
    if says("SOCKS error:") {
        return Reading::Told(Hop::Proxy, Cause::Declined(None));
    }
    Reading::Told(Hop::Server, cause)
}

fn cause(causes: &[&(dyn Error + 'static)], is_timeout: bool, is_name: bool) -> Cause {
    if is_name {
        return Cause::Name;
    }
    let tls = causes.iter().find_map(|one| one.downcast_ref::<rustls::Error>());
    if let Some(error) = tls {
        return of_tls(error);
    }
    let mut kinds = causes
        .iter()
        .filter_map(|one| one.downcast_ref::<io::Error>())
        .map(io::Error::kind);
    if let Some(known) = kinds.find_map(of_system) {
        return known;
    }
    unknown(is_timeout)
}

/// The cause where nothing else is known.
pub(super) const fn unknown(is_timeout: bool) -> Cause {
    if is_timeout { Cause::Silent } else { Cause::Other }
}

/// What the operating system says of a connection.
pub(super) const fn of_system(kind: io::ErrorKind) -> Option<Cause> {
    Some(match kind {
        io::ErrorKind::ConnectionRefused => Cause::Refused,
        io::ErrorKind::TimedOut => Cause::Silent,
        io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::NetworkDown
        | io::ErrorKind::AddrNotAvailable => Cause::NoRoute,
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => Cause::Closed,
        _ => return None,
    })
}

/// What TLS says of a connection.
pub(super) const fn of_tls(error: &rustls::Error) -> Cause {
    match error {
        rustls::Error::InvalidCertificate(why) => Cause::Certificate(of_certificate(why)),
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => Cause::NotTls,
        // A proxy of plain http that is spoken to by TLS, and some servers, answer with an alert or hang up.
        rustls::Error::AlertReceived(AlertDescription::CloseNotify) => Cause::Closed,
        _ => Cause::Handshake,
    }
}

const fn of_certificate(why: &CertificateError) -> Distrust {
    match why {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => Distrust::Issuer,
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Distrust::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Distrust::TooEarly,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Distrust::OtherHost
        }
        _ => Distrust::Other,
    }
}
