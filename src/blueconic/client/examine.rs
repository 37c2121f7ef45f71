//! Asks the tenant one thing, once, for a probe: through the same throttle and with the same token as every request, but with the
//! status, the headers and the body as they came.

use bytes::BytesMut;
use reqwest::Response;
use reqwest::header::{CONTENT_ENCODING, DATE, RETRY_AFTER};

use crate::blueconic::address;
use crate::blueconic::answer::{self, Signature};
use crate::blueconic::error::ClientError;
use crate::blueconic::status::StatusClass;
use crate::model::Time;
use crate::model::examined::{BodyForm, Encoding, Examined, RetryAfter};
use crate::model::page::{Meter, Request};
use crate::model::ports::{Examiner, Examining, TokenStore};

use super::Client;

/// The largest body of an answer, in bytes: a probe holds it whole.
const LARGEST: usize = 64 * 1024 * 1024;

impl<T: TokenStore> Examiner for Client<T> {
    fn examine<'a>(&'a self, request: &'a Request, meter: &'a Meter) -> Examining<'a> {
        Box::pin(async move { Ok(examine(self, request, meter).await?) })
    }
}

async fn examine<T: TokenStore>(
    client: &Client<T>,
    request: &Request,
    meter: &Meter,
) -> Result<Examined, ClientError> {
    let call = address::call(request);
    let url = client.address.of(request)?;
    let permit = client.throttle.enter().await;
    let began = client.monotonic.now();
    let (response, _) = client.authorized(request, &url, meter).await?;
    let answered_at = client.monotonic.wall();
    let status = response.status().as_u16();
    let retry_after = retry_after(&response, answered_at);
    match StatusClass::of(status) {
        StatusClass::Content => client.denials.forget(request.scope),
        StatusClass::Overload => client
            .throttle
            .overloaded(&permit, retry_after.and_then(|header| header.wait)),
        _ => {}
    }
    let (date, encoding) = (date(&response), encoding(&response));
    let (signature, media) = (Signature::of(&response), answer::content_type(&response));
    let mut incoming = client.http.incoming(response);
    let mut body = BytesMut::new();
    while let Some(chunk) = incoming.chunk(&call).await? {
        meter.bytes(chunk.len() as u64);
        if body.len() + chunk.len() > LARGEST {
            return Err(ClientError::TooLarge { call, limit: LARGEST });
        }
        body.extend_from_slice(&chunk);
    }
    let text = body.trim_ascii();
    let form = if text.is_empty() {
        BodyForm::Empty
    } else if media.contains("html") || text.starts_with(b"<") {
        BodyForm::Html
    } else if text.starts_with(b"{") {
        BodyForm::Json
    } else {
        BodyForm::Other
    };
    Ok(Examined {
        status,
        date,
        retry_after,
        encoding,
        form,
        is_own: signature.allows(&body).at_all,
        body: body.freeze(),
        answered_at,
        took: client.monotonic.now().saturating_sub(began),
    })
}

fn date(response: &Response) -> Option<Time> {
    let text = response.headers().get(DATE)?.to_str().ok()?;
    httpdate::parse_http_date(text).ok().map(Time::from)
}

fn retry_after(response: &Response, now: Time) -> Option<RetryAfter> {
    let header = response.headers().get(RETRY_AFTER)?;
    let is_number = |text: &str| text.trim().parse::<u64>().is_ok();
    Some(RetryAfter {
        wait: answer::retry_after(response, now),
        is_date: !header.to_str().is_ok_and(is_number),
    })
}

fn encoding(response: &Response) -> Encoding {
    let header = response.headers().get(CONTENT_ENCODING);
    match header
        .map(|value| value.as_bytes().to_ascii_lowercase())
        .as_deref()
    {
        None | Some(b"identity" | b"") => Encoding::Plain,
        Some(b"gzip" | b"x-gzip") => Encoding::Gzip,
        Some(b"zstd") => Encoding::Zstd,
        Some(b"br") => Encoding::Brotli,
        Some(_) => Encoding::Other,
    }
}
