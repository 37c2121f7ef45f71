//! What brings data in, sends it elsewhere or computes it: connections, notebooks, models, content stores.

use super::common::{BODY, CREATED_AT, CREATOR, DESCRIPTION, ENABLED, ID, MODIFIED_AT, NAME, TABLE, TAGS};
use crate::model::description::{Description, Each, List, Named, Parents, Reading};
use crate::model::table::ColumnKind::{Bigint, Bool, Jsonb, Text, Timestamptz};
use crate::model::table::{Column, Table};

// The columns of a run, and those of the last run of its parent.
const RUN_ID: Column = Column::new("run_id", Text)
    .from("runId")
    .comment("The run's id at the tenant.");
const STATE: Column = Column::new("state", Text)
    .from("state")
    .comment("STARTING, RUNNING, FINISHED, FAILED, STOPPING or STOPPED.");
const STARTED_AT: Column = Column::new("started_at", Timestamptz)
    .from("startDate")
    .comment("When it started.");
const ENDED_AT: Column = Column::new("ended_at", Timestamptz)
    .from("endDate")
    .comment("When it ended; null while it runs.");
const RUN_COUNT: Column = Column::new("run_count", Bigint)
    .from("runCount")
    .comment("Its number among the runs.");
const MESSAGE: Column = Column::new("message", Text)
    .from("message")
    .comment("What it reports, as the tenant's HTML.");
const GOAL_STATISTICS: Column = Column::new("goal_statistics", Jsonb)
    .from("goalStatistics")
    .comment("What it counted: an array of {id, values}.");
const LAST_RUN_ID: Column = Column::new("last_run_id", Text)
    .from("lastRun.runId")
    .comment("Id of its last run.");
const LAST_RUN_STATE: Column = Column::new("last_run_state", Text)
    .from("lastRun.state")
    .comment("State of its last run.");
const LAST_RUN_STARTED_AT: Column = Column::new("last_run_started_at", Timestamptz)
    .from("lastRun.startDate")
    .comment("When its last run started.");
const LAST_RUN_ENDED_AT: Column = Column::new("last_run_ended_at", Timestamptz)
    .from("lastRun.endDate")
    .comment("When its last run ended; null while it runs.");

pub(super) const CONNECTIONS: Description = Description {
    title: "Connections",
    holds: "Connections that bring data into the tenant or send it elsewhere, one row each.",
    path: "/connections",
    arrays: &["connections"],
    oauth_scope: "read:connections",
    table: &Table {
        name: "connections",
        columns: &[
            ID,
            NAME,
            DESCRIPTION,
            TAGS,
            ENABLED,
            Column::new("plugin_id", Text)
                .from("pluginId")
                .comment("Id of the plugin that it runs."),
            Column::new("schedule_mode", Text)
                .from("scheduleMode")
                .comment("SCHEDULED or CONTINUOUS."),
            Column::new("all_channels", Bool)
                .from("allChannels")
                .comment("Whether it works for all channels."),
            LAST_RUN_ID,
            LAST_RUN_STATE,
            LAST_RUN_STARTED_AT,
            LAST_RUN_ENDED_AT,
            CREATOR,
            CREATED_AT,
            MODIFIED_AT,
            BODY,
        ],
        key: &["id"],
        ..TABLE
    },
    reading: Reading::List(List {
        schedule: "24 * * * *",
        ..List::PLAIN
    }),
};

pub(super) const CONNECTION_RUNS: Description = Description {
    title: "Runs of connections",
    holds: "Runs of connections, one row each. A run stays when the tenant no longer lists it.",
    path: "/connections/{parent}/runs",
    arrays: &["runs", "entries"],
    oauth_scope: "read:connections",
    table: &Table {
        name: "connection_runs",
        columns: &[
            Column::new("connection_id", Text).comment("Id of the connection: see connections."),
            RUN_ID,
            STATE,
            STARTED_AT,
            ENDED_AT,
            RUN_COUNT,
            MESSAGE,
            GOAL_STATISTICS,
            BODY,
        ],
        key: &["connection_id", "run_id"],
        ..TABLE
    },
    reading: Reading::List(List {
        schedule: "26 */6 * * *",
        keeps: true,
        each: Some(Each {
            parents: Parents::Stored(CONNECTIONS.table),
            named: Named::InPath,
        }),
        ..List::PLAIN
    }),
};

pub(super) const NOTEBOOKS: Description = Description {
    title: "Notebooks",
    holds: "AI workbench notebooks, one row each.",
    path: "/notebooks",
    arrays: &["notebooks"],
    oauth_scope: "read:notebooks",
    table: &Table {
        name: "notebooks",
        columns: &[
            ID,
            NAME,
            DESCRIPTION,
            TAGS,
            ENABLED,
            LAST_RUN_ID,
            LAST_RUN_STATE,
            LAST_RUN_STARTED_AT,
            LAST_RUN_ENDED_AT,
            CREATOR,
            CREATED_AT,
            MODIFIED_AT,
            BODY,
        ],
        key: &["id"],
        ..TABLE
    },
    reading: Reading::List(List {
        schedule: "46 */6 * * *",
        ..List::PLAIN
    }),
};

pub(super) const NOTEBOOK_RUNS: Description = Description {
    title: "Runs of notebooks",
    holds: "Runs of notebooks, one row each. A run stays when the tenant no longer lists it.",
    path: "/notebooks/{parent}/runs",
    arrays: &["runs", "entries"],
    oauth_scope: "read:notebooks",
    table: &Table {
        name: "notebook_runs",
        columns: &[
            Column::new("notebook_id", Text).comment("Id of the notebook: see notebooks."),
            RUN_ID,
            STATE,
            STARTED_AT,
            ENDED_AT,
            RUN_COUNT,
            MESSAGE,
            GOAL_STATISTICS,
            BODY,
        ],
        key: &["notebook_id", "run_id"],
        ..TABLE
    },
    reading: Reading::List(List {
        schedule: "48 */6 * * *",
        keeps: true,
        each: Some(Each {
            parents: Parents::Stored(NOTEBOOKS.table),
            named: Named::InPath,
        }),
        ..List::PLAIN
    }),
};

pub(super) const MODELS: Description = Description {
    title: "Models",
    holds: "Models of the tenant, one row each, without their binary content.",
    path: "/models",
    arrays: &["models"],
    oauth_scope: "read:models",
    table: &Table {
        name: "models",
        columns: &[
            ID,
            NAME,
            DESCRIPTION,
            TAGS,
            Column::new("type", Text)
                .from("type")
                .comment("GENERAL, DIALOGUE, RECOMMENDATION, CONTINUOUS or SUPPRESSION."),
            Column::new("model_hash", Text)
                .from("modelHash")
                .comment("Hash over its content, which changes with it."),
            Column::new("parameters", Jsonb)
                .from("parameters")
                .comment("Its parameters: an array of {id, relation, type, values}."),
            CREATOR,
            CREATED_AT,
            MODIFIED_AT,
            BODY,
        ],
        key: &["id"],
        ..TABLE
    },
    reading: Reading::List(List {
        schedule: "50 */6 * * *",
        ..List::PLAIN
    }),
};

pub(super) const CONTENT_STORES: Description = Description {
    title: "Content stores",
    holds: "Content and product stores, one row each.",
    path: "/contentStores",
    arrays: &["contentStores"],
    oauth_scope: "read:content_stores",
    table: &Table {
        name: "content_stores",
        columns: &[
            ID,
            NAME,
            DESCRIPTION,
            TAGS,
            Column::new("store_type", Text)
                .from("storeType")
                .comment("CONTENT or PRODUCT."),
            Column::new("item_count", Bigint)
                .from("itemCount")
                .comment("Items in it, as the tenant counts."),
            CREATOR,
            CREATED_AT,
            MODIFIED_AT,
            BODY,
        ],
        key: &["id"],
        ..TABLE
    },
    reading: Reading::List(List {
        schedule: "52 */6 * * *",
        ..List::PLAIN
    }),
};

pub(super) const CONTENT_STORE_ITEMS: Description = Description {
    title: "Items of content stores",
    holds: "Items of content and product stores, one row each.",
    path: "/contentStores/{parent}/items",
    arrays: &["items"],
    oauth_scope: "read:content_stores",
    table: &Table {
        name: "content_store_items",
        columns: &[
            Column::new("content_store_id", Text).comment("Id of the store: see content_stores."),
            ID,
            NAME,
            DESCRIPTION,
            Column::new("url", Text)
                .from("URL")
                .comment("Address of its page."),
            Column::new("image", Text)
                .from("image")
                .comment("Address of its image."),
            Column::new("in_stock", Bool)
                .from("inStock")
                .comment("Whether it is in stock."),
            Column::new("published_at", Timestamptz)
                .from("publicationDate")
                .comment("When it was published."),
            Column::new("properties", Jsonb)
                .from("properties")
                .comment("Its properties: an array of {id, values}."),
            CREATED_AT,
            MODIFIED_AT,
            BODY,
        ],
        key: &["content_store_id", "id"],
        ..TABLE
    },
    reading: Reading::List(List {
        schedule: "54 2 * * *",
        // A store may have a page of items for each of many products.
        enabled: false,
        each: Some(Each {
            parents: Parents::Stored(CONTENT_STORES.table),
            named: Named::InPath,
        }),
        ..List::PLAIN
    }),
};
