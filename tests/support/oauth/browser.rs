//! A minimal browser for consent pages: it follows redirects, keeps cookies, and sends forms.

use std::collections::HashMap;

use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Client, Response};
use url::Url;

/// More pages than any consent needs.
const PAGES: usize = 20;

pub(crate) struct Browser {
    client: Client,
    cookies: HashMap<String, String>,
}

impl Browser {
    pub(crate) fn new() -> Self {
        let client = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        Self {
            client,
            cookies: HashMap::new(),
        }
    }

    /// Opens a page and answers every form with `answer` (a person's input), until a redirect leaves
    /// the server; returns its target.
    pub(crate) async fn consent(&mut self, address: &str, answer: &[(&str, &str)]) -> String {
        let start = Url::parse(address).unwrap();
        let mut response = self.get(&start).await;
        let mut at = start.clone();
        for _ in 0..PAGES {
            if response.status().is_redirection() {
                let location = response.headers()[LOCATION].to_str().unwrap();
                let next = at.join(location).unwrap();
                if next.origin() != start.origin() {
                    return next.into();
                }
                response = self.get(&next).await;
                at = next;
                continue;
            }
            let status = response.status();
            let page = response.text().await.unwrap();
            assert!(status.is_success(), "{at}: {status}\n{page}");
            let (action, mut fields) = form(&page).unwrap_or_else(|| panic!("{at} has no form:\n{page}"));
            fields.extend(
                answer
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
            );
            at = at.join(&action).unwrap();
            let sending = self
                .client
                .post(at.clone())
                .header(COOKIE, self.jar())
                .form(&fields);
            response = sending.send().await.unwrap();
            self.keep(&response);
        }
        panic!("no end of pages from {address}");
    }

    async fn get(&mut self, at: &Url) -> Response {
        let response = self
            .client
            .get(at.clone())
            .header(COOKIE, self.jar())
            .send()
            .await
            .unwrap();
        self.keep(&response);
        response
    }

    fn keep(&mut self, response: &Response) {
        for cookie in response.headers().get_all(SET_COOKIE) {
            let cookie = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = cookie.split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
    }

    fn jar(&self) -> String {
        let cookies = self.cookies.iter().filter(|(_, value)| !value.is_empty());
        cookies
            .map(|(name, value)| format!("{name}={value}"))
            .collect::<Vec<_>>()
            .join("; ")
    }
}

/// Where a page's form goes, and its hidden fields.
fn form(page: &str) -> Option<(String, Vec<(String, String)>)> {
    let (_, form) = page.split_once("<form")?;
    let form = form.split("</form>").next()?;
    let action = attribute(form.split('>').next()?, "action").unwrap_or_default();
    let hidden = form.split("<input").skip(1).filter_map(|input| {
        let input = input.split('>').next()?;
        (attribute(input, "type")? == "hidden").then_some(())?;
        Some((attribute(input, "name")?, attribute(input, "value")?))
    });
    Some((action, hidden.collect()))
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!("{name}=\""))?;
    Some(rest.split('"').next()?.to_owned())
}
