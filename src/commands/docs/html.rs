//! The data dictionary as one page that needs no other file: the picture of the tables, and their columns.

use std::fmt::Write as _;

use crate::model::dictionary::{Column, Dictionary, Relation};

use super::escape::escaped;
use super::{markdown, picture};

const HEAD: &str = "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
    <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Data dictionary</title>\n<style>\n\
    body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 90rem; padding: 0 1rem; color: #1d2733; }\n\
    table { border-collapse: collapse; width: 100%; }\n\
    th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #dde3ea; }\n\
    code { font-size: .9em; } .key { color: #8a5a00; } .note { color: #5b6877; }\n\
    .picture svg { max-width: 100%; height: auto; }\n\
    </style>\n</head>\n<body>\n<h1>Data dictionary</h1>\n\
    <p>Made by <code>blueconic-sync docs</code> from <code>blueconic.data_dictionary</code>.</p>\n";

/// The page.
pub(super) fn page(dictionary: &Dictionary) -> String {
    let mut page = HEAD.to_owned();
    let _ = write!(
        page,
        "<h2>How the tables join</h2>\n<div class=\"picture\">\n{}</div>\n",
        picture::svg(dictionary)
    );
    page.push_str("<h2>Tables and views</h2>\n<table>\n<tr><th>name</th><th>holds</th></tr>\n");
    for relation in &dictionary.relations {
        let name = escaped(&relation.name);
        let _ = writeln!(
            page,
            "<tr><td><a href=\"#{name}\"><code>{name}</code></a></td><td>{}</td></tr>",
            escaped(&relation.description)
        );
    }
    page.push_str("</table>\n");
    dictionary
        .relations
        .iter()
        .for_each(|relation| section(relation, &mut page));
    page.push_str("</body>\n</html>\n");
    page
}

fn section(relation: &Relation, page: &mut String) {
    let name = escaped(&relation.name);
    let _ = write!(
        page,
        "<h2 id=\"{name}\"><code>{name}</code></h2>\n<p>{} <span class=\"note\">({})</span></p>\n<table>\n\
         <tr><th>column</th><th>type</th><th>null</th><th>holds</th><th>from</th><th>joins</th></tr>\n",
        escaped(&relation.description),
        escaped(&relation.kind)
    );
    for column in &relation.columns {
        row(column, page);
    }
    page.push_str("</table>\n");
}

fn row(column: &Column, page: &mut String) {
    let key = if column.is_key {
        " <span class=\"key\">key</span>"
    } else {
        ""
    };
    let null = match column.is_nullable {
        Some(true) => "yes",
        Some(false) => "no",
        None => "",
    };
    let joins = column.joins.as_ref().map_or_else(String::new, |(to, by)| {
        let to = escaped(to);
        format!("<a href=\"#{to}\"><code>{to}.{}</code></a>", escaped(by))
    });
    let _ = writeln!(
        page,
        "<tr><td><code>{}</code>{key}</td><td>{}</td><td>{null}</td><td>{}</td><td>{}</td><td>{joins}</td></tr>",
        escaped(&column.name),
        escaped(&column.type_name),
        escaped(&column.description),
        escaped(&markdown::source(column)),
    );
}
