//! What a connection that did not come about means: where it failed, why, and what a person should do. Status, logs, `check` and
//! messages all say it in these words.

use std::fmt;

/// On which part of the way a connection failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hop {
    /// On the way to the proxy, or at it.
    Proxy,
    /// At the server itself, or behind the proxy.
    Server,
}

/// Why a connection did not come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The host's name does not resolve.
    Name,
    /// Nothing listens there, or a firewall says so.
    Refused,
    /// No route leads there.
    NoRoute,
    /// No answer came in time.
    Silent,
    /// The connection was closed before it was ready.
    Closed,
    /// The certificate is not trusted.
    Certificate(Distrust),
    /// What answers does not speak TLS.
    NotTls,
    /// The TLS handshake failed otherwise.
    Handshake,
    /// The proxy wants other credentials, or some (407).
    Credentials,
    /// The proxy does not lead to the server: its status, if it speaks HTTP.
    Declined(Option<u16>),
    /// What answers is no proxy.
    NotProxy,
    /// Anything else.
    Other,
}

/// Why a certificate is not trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distrust {
    /// No authority that is known here has issued it.
    Issuer,
    /// It has expired.
    Expired,
    /// It is not valid yet.
    TooEarly,
    /// It is for another host.
    OtherHost,
    /// Anything else.
    Other,
}

/// A connection that did not come about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Where it failed.
    pub hop: Hop,
    /// Why it failed.
    pub cause: Cause,
    /// What was to be reached, as a message may call it: "the tenant".
    pub(super) what: &'static str,
    /// Its host and port; none if they are a secret.
    pub(super) address: Option<String>,
    /// The proxy on the way, with what names it.
    pub(super) proxy: Option<String>,
    /// The words of the operating system, of TLS or of the proxy.
    pub(super) detail: Option<String>,
}

impl Failure {
    /// The words of the operating system, of TLS or of the proxy, if they say more than the message.
    pub fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }

    /// Whether it is about a certificate.
    pub const fn is_of_certificate(&self) -> bool {
        matches!(self.cause, Cause::Certificate(_))
    }

    /// Whether the settings are wrong, so that no retry helps.
    pub const fn is_of_settings(&self) -> bool {
        matches!(self.cause, Cause::Credentials)
    }

    /// What a person should do about it.
    pub fn hint(&self) -> &'static str {
        match (self.hop, self.cause) {
            (_, Cause::Certificate(distrust)) => of_certificate(self.hop, distrust),
            (Hop::Proxy, cause) => of_proxy(cause),
            (Hop::Server, Cause::NotTls) => {
                "check the address and its port: https is spoken there, and something else answers, as on a port for plain http"
            }
            (Hop::Server, Cause::Handshake) => {
                "check what stands in front of it: TLS 1.2 or 1.3 is needed, and a client certificate cannot be given"
            }
            (Hop::Server, _) if self.proxy.is_some() => {
                "check that the proxy lets this machine through to the host; to go without it, name the host in \
                 `network.no_proxy` (or NO_PROXY)"
            }
            (Hop::Server, Cause::Name) => {
                "check the address and the name server of this machine; where only a proxy leads out, name it in `network.proxy` \
                 (or HTTPS_PROXY)"
            }
            (Hop::Server, Cause::Refused) => {
                "check the address and its port; where a firewall refuses, have it let this machine out, or name a proxy in \
                 `network.proxy` (or HTTPS_PROXY)"
            }
            (Hop::Server, _) => {
                "check the address, and that the firewall lets this machine out; where a proxy leads out, name it in \
                 `network.proxy` (or HTTPS_PROXY)"
            }
        }
    }

    /// The proxy, or what was to be reached, with its address.
    fn subject(&self) -> String {
        match (self.hop, &self.proxy) {
            (Hop::Proxy, Some(proxy)) => format!("the proxy {proxy}"),
            (Hop::Server, Some(proxy)) => format!("{} behind the proxy {proxy}", self.server()),
            _ => self.server(),
        }
    }

    fn server(&self) -> String {
        match &self.address {
            Some(address) => format!("{} ({address})", self.what),
            None => self.what.to_owned(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subject = self.subject();
        match self.cause {
            Cause::Name => write!(out, "the host of {subject} does not resolve"),
            Cause::Refused => write!(out, "{subject} refuses the connection"),
            Cause::NoRoute => write!(out, "no route leads to {subject}"),
            Cause::Silent => write!(out, "{subject} does not answer in time"),
            Cause::Closed => write!(out, "{subject} closes the connection before it is ready"),
            Cause::Certificate(distrust) => write!(
                out,
                "the certificate of {subject} is not trusted: {}",
                why(distrust)
            ),
            Cause::NotTls => write!(out, "{subject} does not speak TLS"),
            Cause::Handshake => write!(out, "the TLS handshake with {subject} fails"),
            Cause::Credentials => write!(out, "{subject} refuses the credentials, or wants some (HTTP 407)"),
            Cause::Declined(Some(403)) => {
                write!(
                    out,
                    "{subject} does not allow the way to {} (HTTP 403)",
                    self.server()
                )
            }
            Cause::Declined(Some(status @ (502..=504))) => {
                write!(out, "{subject} does not reach {} (HTTP {status})", self.server())
            }
            Cause::Declined(Some(status)) => {
                write!(
                    out,
                    "{subject} does not lead to {} (HTTP {status})",
                    self.server()
                )
            }
            Cause::Declined(None) => write!(out, "{subject} does not lead to {}", self.server()),
            Cause::NotProxy => write!(out, "{subject} does not answer as a proxy does"),
            Cause::Other => write!(out, "no connection to {subject}"),
        }
    }
}

const fn why(distrust: Distrust) -> &'static str {
    match distrust {
        Distrust::Issuer => "no authority that is known here has issued it",
        Distrust::Expired => "it has expired",
        Distrust::TooEarly => "it is not valid yet",
        Distrust::OtherHost => "it is for another host",
        Distrust::Other => "it is not usable",
    }
}

const fn of_certificate(hop: Hop, distrust: Distrust) -> &'static str {
    match (distrust, hop) {
        (Distrust::Issuer, _) => {
            "name the file with the certificate of the authority (PEM) in `network.ca_file`; it is that of the company where a \
             gateway opens TLS; public authorities come with the package ca-certificates, or with SSL_CERT_FILE"
        }
        (Distrust::Expired, _) => {
            "have it renewed by those who run the server; look at the clock of this machine as well (`date -u`)"
        }
        (Distrust::TooEarly, _) => "look at the clock of this machine (`date -u`): it is probably behind",
        (Distrust::OtherHost, Hop::Proxy) => {
            "name the proxy by a host that stands in its certificate (subjectAltName), in `network.proxy` or the variable that \
             names it"
        }
        (Distrust::OtherHost, Hop::Server) => {
            "check the address; if it is right, something else answers in its place, such as a gateway or a login page of the \
             network"
        }
        (Distrust::Other, _) => {
            "look at the certificate (`openssl s_client -connect HOST:443`), and have those who run the server mend it"
        }
    }
}

const fn of_proxy(cause: Cause) -> &'static str {
    match cause {
        Cause::Name => "check the proxy's address, and the name server of this machine",
        Cause::Credentials => {
            "put the proxy's user and password into its address: http://USER:PASSWORD@HOST:PORT in BLUECONIC_SYNC_PROXY (or \
             BLUECONIC_SYNC_PROXY_FILE), with %40 for `@` and the like in them"
        }
        Cause::Declined(Some(502..=504)) => {
            "check the tenant's address; if it is right, those who run the proxy can tell why it does not get there (its name \
             server, its way out)"
        }
        Cause::Declined(_) => {
            "have those who run the proxy allow this machine the way to the host (port 443); to go without the proxy, name the \
             host in `network.no_proxy` (or NO_PROXY)"
        }
        Cause::Closed => {
            "check the address of what is to be reached, and ask those who run the proxy: it gave up on the way; one by https that is \
             named with http:// closes the connection, too"
        }
        Cause::NotTls => {
            "the proxy's address says https: if the proxy takes plain http, name it with http://"
        }
        Cause::NotProxy | Cause::Handshake => {
            "check the proxy's scheme, host and port: http, https, socks5, socks5h, socks4 or socks4a"
        }
        _ => {
            "check that the proxy runs, and its address; to go without it, unset it or name the host in `network.no_proxy` (or \
             NO_PROXY)"
        }
    }
}
