//! TLS to other servers: rustls with aws-lc-rs, the authorities of the system and those of the settings.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls_platform_verifier::Verifier;

use crate::config::authorities::Authorities;

/// Trusts the authorities of the system (or of `SSL_CERT_FILE`) and these.
pub(super) fn trusting(authorities: &Authorities) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Verifier::new_with_extra_roots(authorities.iter().cloned(), Arc::clone(&provider))?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        // What rustls calls dangerous is to bring a verifier; this one checks everything, and reads the system's authorities.
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
