//! What the tenant shows, to whom and where: channels, dialogues, listeners, lifecycles, interactions.

use super::common::{BODY, CREATED_AT, CREATOR, DESCRIPTION, ENABLED, ID, MODIFIED_AT, NAME, TABLE, TAGS};
use crate::model::description::{ByDay, Description, Each, List, Named, Parents, Reading};
use crate::model::table::ColumnKind::{Bigint, Bool, Date, Int, Jsonb, Text, TextArray};
use crate::model::table::{Column, Table};

pub(super) const CHANNELS: Description = Description {
    title: "Channels",
    holds: "Channels of the tenant, one row each: websites, mobile apps, e-mail and connected TV.",
    path: "/channels",
    arrays: &["channels"],
    oauth_scope: "read:channels",
    table: &Table {
        name: "channels",
        columns: &[
            Column::new("id", Text)
                .from("id")
                .comment("The channel's id at the tenant."),
            Column::new("name", Text).from("name").comment("Its name."),
            Column::new("type", Text)
                .from("type")
                .comment("WEBSITE, MOBILE, EMAIL or CTV."),
            Column::new("hostname", Text)
                .from("hostname")
                .comment("Host name of a website, app id of a mobile or TV app; empty for e-mail."),
            Column::new("aliases", TextArray)
                .from("aliases")
                .comment("Other host names of a website; empty when there are none."),
            Column::new("domain_id", Text)
                .from("domain.id")
                .comment("Id of the domain that it belongs to."),
            Column::new("domain_name", Text)
                .from("domain.name")
                .comment("Name of that domain."),
            Column::new("tags", TextArray)
                .from("tags")
                .comment("Its tags; empty when there are none."),
            Column::new("visitor_count", Bigint)
                .from("visitorCount")
                .comment("Visitors of it, as the tenant counts."),
            BODY,
        ],
        key: &["id"],
        ..TABLE
    },
    reading: Reading::List(List {
        schedule: "22 */6 * * *",
        ..List::PLAIN
    }),
};

pub(super) const DIALOGUES: Description = Description {
    title: "Dialogues",
    holds: "Dialogues of the tenant, one row each.",
    path: "/dialogues",
    arrays: &["dialogues"],
    oauth_scope: "read:dialogues",
    table: &Table {
        name: "dialogues",
        columns: &[
            ID,
            NAME,
            DESCRIPTION,
            TAGS,
            ENABLED,
            Column::new("priority", Text)
                .from("priority.name")
                .comment("Name of its priority."),
            Column::new("goal", Text)
                .from("optimizerSettings.goal")
                .comment("The goal that its optimizer works for."),
            Column::new("variant_strategy", Text)
                .from("optimizerSettings.variantStrategy")
                .comment("How its variants are chosen: AUTOMATIC, EXCLUSIVE, ROTATING or MODEL_BASED."),
            Column::new("control_group_percent", Int)
                .from("optimizerSettings.controlGroupDistribution")
                .comment("Percent of the profiles that see nothing of it, for comparison."),
            Column::new("variants", Jsonb)
                .from("variants")
                .comment("Its variants: an array of objects."),
            CREATOR,
            CREATED_AT,
            MODIFIED_AT,
            BODY,
        ],
        key: &["id"],
        ..TABLE
    },
    reading: Reading::List(List {
        schedule: "28 */6 * * *",
        ..List::PLAIN
    }),
};

pub(super) const LISTENERS: Description = Description {
    title: "Listeners",
    holds: "Listeners of the tenant, one row each.",
    path: "/listeners",
    arrays: &["listeners"],
    oauth_scope: "read:listeners",
    table: &Table {
        name: "listeners",
        columns: &[
            ID,
            NAME,
            DESCRIPTION,
            TAGS,
            ENABLED,
            Column::new("plugin_id", Text)
                .from("pluginId")
                .comment("Id of the plugin that it runs."),
            Column::new("all_channels", Bool)
                .from("allChannels")
                .comment("Whether it works for all channels."),
            CREATOR,
            CREATED_AT,
            MODIFIED_AT,
            BODY,
        ],
        key: &["id"],
        ..TABLE
    },
    reading: Reading::List(List {
        schedule: "30 */6 * * *",
        ..List::PLAIN
    }),
};

pub(super) const LIFECYCLES: Description = Description {
    title: "Lifecycles",
    holds: "Lifecycles of the tenant, one row each, with their stages.",
    path: "/lifecycles",
    arrays: &["lifecycles"],
    oauth_scope: "read:lifecycles",
    table: &Table {
        name: "lifecycles",
        columns: &[
            ID,
            NAME,
            DESCRIPTION,
            TAGS,
            ENABLED,
            Column::new("priority", Text)
                .from("priority.name")
                .comment("Name of its priority."),
            Column::new("stages", Jsonb)
                .from("stages")
                .comment("Its stages in order: an array of {identifier, name, rule, touchpoints}."),
            CREATOR,
            CREATED_AT,
            MODIFIED_AT,
            BODY,
        ],
        key: &["id"],
        ..TABLE
    },
    reading: Reading::List(List {
        schedule: "32 */6 * * *",
        ..List::PLAIN
    }),
};

/// The columns of interactions: `of` says what serves them.
const fn interaction_columns(of: Column) -> [Column; 9] {
    [
        of,
        Column::new("id", Text)
            .from("id")
            .comment("The interaction's id at the tenant."),
        Column::new("name", Text).from("name").comment("Its name."),
        Column::new("type", Text)
            .from("interactionType.type")
            .comment("Type of the plugin behind it, such as listener."),
        Column::new("plugin_id", Text)
            .from("interactionType.id")
            .comment("Id of that plugin."),
        Column::new("position", Text)
            .from("position")
            .comment("Where it stands on the page."),
        Column::new("default_locale", Text)
            .from("defaultLocale")
            .comment("The language of its parameters without a translation."),
        Column::new("parameters", Jsonb)
            .from("parameters")
            .comment("Its parameters: an array of {id, values}."),
        BODY,
    ]
}

pub(super) const INTERACTIONS: Description = Description {
    title: "Interactions",
    holds: "Interactions that a channel serves, one row for each channel and interaction.",
    path: "/interactions",
    arrays: &["interactions"],
    oauth_scope: "read:channels",
    table: &Table {
        name: "interactions",
        columns: &interaction_columns(
            Column::new("channel_id", Text).comment("Id of the channel: see channels."),
        ),
        key: &["channel_id", "id"],
        ..TABLE
    },
    reading: Reading::List(List {
        schedule: "58 2 * * *",
        // Each channel takes a request, and a channel may serve what needs an address or a screen name to be served.
        enabled: false,
        paged: false,
        each: Some(Each {
            parents: Parents::Stored(CHANNELS.table),
            named: Named::ByParameter("channelId"),
        }),
        ..List::PLAIN
    }),
};

pub(super) const PAGE_INTERACTIONS: Description = Description {
    title: "Interactions of pages",
    holds: "Interactions that a page serves, one row for each listed URL and interaction.",
    table: &Table {
        name: "page_interactions",
        columns: &interaction_columns(
            Column::new("url", Text).comment("The URL of the page, as the settings list it."),
        ),
        key: &["url", "id"],
        ..TABLE
    },
    reading: Reading::List(List {
        schedule: "4 3 * * *",
        // Nothing lists the pages of a tenant, so the settings do.
        enabled: false,
        paged: false,
        each: Some(Each {
            parents: Parents::Urls,
            named: Named::ByParameter("url"),
        }),
        ..List::PLAIN
    }),
    ..INTERACTIONS
};

pub(super) const DIALOGUE_STATISTICS: Description = Description {
    title: "Statistics of dialogues",
    holds: "What dialogues brought, one row for each dialogue and day (UTC). A row stays when the tenant forgets the day; the last seven days are read again, since they may still change.",
    path: "/reporting/dialogues",
    // Release 102 renamed the array.
    arrays: &["dialogueStatistics", "entries"],
    oauth_scope: "read:dialogues",
    table: &Table {
        name: "dialogue_statistics",
        columns: &[
            Column::new("day", Date).comment("The day, by UTC."),
            Column::new("dialogue_id", Text)
                .from("dialogueId")
                .comment("Id of the dialogue: see dialogues."),
            Column::new("name", Text).from("name").comment("Its name."),
            ENABLED,
            Column::new("views", Bigint)
                .from("statistics.views")
                .comment("Views of it."),
            Column::new("unique_views", Bigint)
                .from("statistics.uniqueViews")
                .comment("Profiles that viewed it."),
            Column::new("clicks", Bigint)
                .from("statistics.clicks")
                .comment("Clicks on it."),
            Column::new("unique_clicks", Bigint)
                .from("statistics.uniqueClicks")
                .comment("Profiles that clicked on it."),
            Column::new("conversions", Bigint)
                .from("statistics.conversions")
                .comment("Direct conversions."),
            Column::new("unique_conversions", Bigint)
                .from("statistics.uniqueConversions")
                .comment("Profiles with a direct conversion."),
            Column::new("indirect_conversions", Bigint)
                .from("statistics.indirectConversions")
                .comment("Indirect conversions."),
            Column::new("total_conversions", Bigint)
                .from("statistics.totalConversions")
                .comment("Direct and indirect conversions."),
            Column::new("statistics", Jsonb).from("statistics").comment(
                "All numbers of that day by the tenant's names, ratios included; null: there is no ratio.",
            ),
            BODY,
        ],
        key: &["day", "dialogue_id"],
        ..TABLE
    },
    reading: Reading::List(List {
        schedule: "50 3 * * *",
        paged: false,
        keeps: true,
        each: Some(Each {
            parents: Parents::Stored(DIALOGUES.table),
            named: Named::ByDay(ByDay {
                ids: "dialogueId",
                at_once: 50,
                days: ["startDate", "endDate"],
                first: 30,
                again: 7,
            }),
        }),
        ..List::PLAIN
    }),
};
