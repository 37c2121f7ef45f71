//! `docs` writes what the dictionary says, and nothing of the tenant's texts becomes markup.

use super::loaded;
use crate::support::Scene;

const HOSTILE: &str = "<script>alert(1)</script> {{ x }} | `y` \u{202e}\n# z";

async fn hostile() -> Scene {
    let scene = loaded().await;
    let comment = format!("comment on column blueconic.profiles_wide.email is '{HOSTILE}'");
    scene.database.run(&comment).await;
    scene
}

#[tokio::test(flavor = "multi_thread")]
async fn every_table_stands_in_each_form() {
    let scene = hostile().await;
    let relations = scene
        .database
        .texts("select distinct relation from blueconic.data_dictionary")
        .await;
    assert!(relations.len() > 40, "{relations:?}");
    let form = async |format: &str| {
        scene
            .program
            .expect(0, &["docs", "--format", format])
            .await
            .stdout
    };
    let (markdown, html, dbt) = (form("markdown").await, form("html").await, form("dbt").await);
    for name in &relations {
        assert!(markdown.contains(&format!("\n## {name}\n")), "{name}");
        assert!(html.contains(&format!("<h2 id=\"{name}\">")), "{name}");
        assert!(dbt.contains(&format!("\n      - name: \"{name}\"\n")), "{name}");
    }
    assert!(html.contains("&lt;script&gt;alert(1)") && !html.contains("<script"));
    assert!(markdown.contains("&lt;script>alert(1)") && !markdown.contains("\n# z"));
    assert!(dbt.contains("{ { x }}") && !dbt.contains("{{"));
    for text in [&markdown, &html, &dbt] {
        assert!(!text.contains('\u{202e}'), "a text changes its direction");
    }
}

/// Each join between two tables is a line of the picture.
#[tokio::test(flavor = "multi_thread")]
async fn the_picture_has_a_line_for_each_join() {
    let scene = loaded().await;
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("made/by/docs");
    scene
        .program
        .expect(0, &["docs", "--output", folder.to_str().unwrap()])
        .await
        .tells(&["data-dictionary.md", "data-dictionary.svg"]);
    let svg = std::fs::read_to_string(folder.join("data-dictionary.svg")).unwrap();
    let joins = scene
        .database
        .texts(
            "select relation || '.' || column_name || ' = ' || joins_relation || '.' || joins_column
             from blueconic.data_dictionary where joins_relation <> relation and relation not like '%\\_plain'",
        )
        .await;
    assert!(joins.len() > 30, "{joins:?}");
    for join in &joins {
        assert!(svg.contains(&format!("<title>{join}</title></path>")), "{join}");
    }
    assert_eq!(svg.matches("<path ").count(), joins.len());
    assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_written_or_read_is_told() {
    let scene = loaded().await;
    scene
        .program
        .expect(1, &["docs", "--output", "/dev/null/folder"])
        .await
        .tells(&["/dev/null/folder cannot be written", "--output"]);
    scene
        .program
        .expect(2, &["docs", "--format", "pdf"])
        .await
        .tells(&["pdf", "markdown"]);
    let empty = crate::support::database::Database::bare().await;
    let unmade = scene.program.with("DATABASE_URL", &empty.url);
    unmade.expect(1, &["docs"]).await.tells(&["migrate"]);
}
