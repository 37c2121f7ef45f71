//! `notify test`, as a person runs it before a bad day.

use serde_json::Value;

use crate::support::hook::Hook;
use crate::support::ports::free;
use crate::support::program::Program;

/// It asks neither a tenant nor a database.
fn program() -> Program {
    Program::new("http://127.0.0.1:9", "postgres://u@127.0.0.1:9/x")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_message_arrives_in_each_form() {
    let hook = Hook::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("webhook");
    std::fs::write(&file, format!("{}/services/hunter2\n", hook.url)).unwrap();
    for (format, place) in [
        ("json", "/text"),
        ("slack", "/text"),
        ("teams", "/attachments/0/content/body/0/text"),
    ] {
        let program = program()
            .set("notify.webhook_url_file", file.to_str().unwrap())
            .with("BLUECONIC_SYNC_HEARTBEAT_URL", &format!("{}/beat", hook.url))
            .set("notify.format", format);
        let ended = program.expect(0, &["notify", "test"]).await;
        assert_eq!(ended.stdout, "webhook: accepted\ndead-man switch: accepted\n");
        let arrived = hook.arrived();
        let [.., post, beat] = &arrived[..] else {
            panic!("{arrived:?}")
        };
        assert_eq!((&*post.path, &*beat.path), ("/services/hunter2", "/beat"));
        assert_eq!(
            (&*post.method.to_string(), &*beat.method.to_string()),
            ("POST", "GET")
        );
        let message: Value = serde_json::from_slice(&post.body).unwrap();
        let text = message.pointer(place).unwrap().as_str().unwrap();
        assert!(
            text.contains("http://127.0.0.1:9") && text.contains("this is a test"),
            "{format}: {text}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_arrive_is_said_without_the_address() {
    let hook = Hook::start().await;
    let nobody = format!("http://{}/hunter2", free());
    for (status, url, code, says) in [
        (
            404,
            format!("{}/hunter2", hook.url),
            1,
            "answered with status 404",
        ),
        (
            302,
            format!("{}/hunter2", hook.url),
            1,
            "a redirect is not followed",
        ),
        (200, nobody, 1, "the webhook refuses the connection"),
        (
            200,
            "http://hooks.example.com/hunter2".to_owned(),
            2,
            "https is expected",
        ),
        (200, "hunter2".to_owned(), 2, "BLUECONIC_SYNC_WEBHOOK_URL"),
    ] {
        hook.answer(status);
        let ended = program()
            .with("BLUECONIC_SYNC_WEBHOOK_URL", &url)
            .with("RUST_LOG", "trace")
            .expect(code, &["notify", "test"])
            .await;
        ended.tells(&[says]);
        assert!(!format!("{ended:?}").contains("hunter2"), "{}", ended.stderr);
    }
    // Both are tried, and both are told.
    let url = format!("{}/hunter2", hook.url);
    hook.answer(500);
    let ended = program()
        .with("BLUECONIC_SYNC_WEBHOOK_URL", &url)
        .with("BLUECONIC_SYNC_HEARTBEAT_URL", &url)
        .expect(1, &["notify", "test"])
        .await;
    ended.tells(&["the webhook answered", "the dead-man switch answered"]);
    program()
        .expect(2, &["notify", "test"])
        .await
        .tells(&["neither a webhook nor a dead-man switch is set"]);
}
