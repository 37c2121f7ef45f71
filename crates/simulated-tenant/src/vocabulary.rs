//! The words of generated data: names, places and sentences with the accents, quotes, scripts and
//! escapes of real data.

/// First names as written and as in an address.
pub(crate) const FIRST_NAMES: [(&str, &str); 16] = [
    ("Anna", "anna"),
    ("Björn", "bjorn"),
    ("Chloé", "chloe"),
    ("Daan", "daan"),
    ("Élodie", "elodie"),
    ("Fatima", "fatima"),
    ("Gökhan", "gokhan"),
    ("Hannah", "hannah"),
    ("İpek", "ipek"),
    ("Jürgen", "jurgen"),
    ("Kamila", "kamila"),
    ("Łukasz", "lukasz"),
    ("María", "maria"),
    ("Nguyễn", "nguyen"),
    ("翔太", "shota"),
    ("Ольга", "olga"),
];

/// Last names as written and as in an address.
pub(crate) const LAST_NAMES: [(&str, &str); 16] = [
    ("de Vries", "devries"),
    ("Müller", "mueller"),
    ("O'Brien", "obrien"),
    ("García", "garcia"),
    ("Jansen", "jansen"),
    ("Nowak", "nowak"),
    ("Åkesson", "akesson"),
    ("Rossi", "rossi"),
    ("van 't Hoff", "vanthoff"),
    ("Smith", "smith"),
    ("Dvořák", "dvorak"),
    ("Silva", "silva"),
    ("佐藤", "sato"),
    ("Иванова", "ivanova"),
    ("Yılmaz", "yilmaz"),
    ("Dupont", "dupont"),
];

pub(crate) const CITIES: [&str; 12] = [
    "'s-Hertogenbosch",
    "Nijmegen",
    "Köln",
    "São Paulo",
    "Zürich",
    "Kraków",
    "東京",
    "Αθήνα",
    "Llanfairpwllgwyngyll",
    "Saint-Étienne",
    "New York",
    "القاهرة",
];

pub(crate) const COUNTRIES: [&str; 8] = ["NL", "DE", "BR", "CH", "PL", "JP", "GR", "US"];
pub(crate) const LANGUAGES: [&str; 6] = ["nl-NL", "de-DE", "en-US", "pt-BR", "ja-JP", "pl-PL"];
pub(crate) const GENDERS: [&str; 4] = ["female", "male", "other", "unknown"];

pub(crate) const COMPANIES: [&str; 8] = [
    "Smith & \"Sons\"",
    "Grün\\Weiß GmbH",
    "ACME, Inc.",
    "{\"not\": [\"json\"]}",
    "Tab\tand\nline",
    "<b>Bold</b> B.V.",
    "株式会社サンプル",
    "Zero O'Clock; DROP TABLE--",
];

pub(crate) const TOPICS: [&str; 10] = [
    "sports",
    "travel",
    "food & drink",
    "tech",
    "fashion",
    "music 🎵",
    "science",
    "home",
    "finance",
    "culture/arts",
];

pub(crate) const SITES: [&str; 6] = [
    "www.example.com",
    "shop.example.com",
    "blog.example.org",
    "www.example.nl",
    "support.example.com",
    "app.example.net",
];

pub(crate) const PAGES: [&str; 8] = [
    "https://www.example.com/",
    "https://www.example.com/products?category=shoes&sort=price",
    "https://shop.example.com/cart/checkout/step-2?utm_source=newsletter&utm_medium=email&utm_campaign=spring",
    "https://blog.example.org/2026/05/how-we-grew",
    "https://www.example.nl/aanbiedingen/%C3%A9%C3%A9n",
    "https://support.example.com/hc/en-us/articles/115001671965",
    "https://www.example.com/search?q=%22rain+coat%22",
    "https://app.example.net/#/dashboard",
];

pub(crate) const BROWSERS: [&str; 5] = ["Chrome", "Safari", "Firefox", "Edge", "Samsung Browser"];
pub(crate) const VERSIONS: [&str; 5] = [
    "Chrome 139",
    "Safari 18.5",
    "Firefox 142",
    "Edge 138",
    "Samsung Browser 28",
];
pub(crate) const DEVICES: [&str; 4] = ["PC", "MOBILE", "TABLET", "TV"];
pub(crate) const ORIGINS: [&str; 5] = ["direct", "organic_search", "paid_search", "social", "email"];
pub(crate) const LEGISLATIONS: [&str; 5] = ["GDPR", "NONE", "CCPA", "BRAZIL_LGPD", "UK_GDPR"];
pub(crate) const PERMISSION_LEVELS: [&str; 3] = ["PERSONAL", "ANONYMOUS", "DO_NOT_TRACK"];
pub(crate) const DOMAIN_GROUPS: [&str; 2] = ["DEFAULT", "benelux"];

pub(crate) const SENTENCES: [&str; 8] = [
    "Asked for the invoice again; sent it on the same day.",
    "„Bitte nur vormittags anrufen“, said the customer twice.",
    "Prefers \"express\" delivery, never the neighbours.",
    "Ha scritto una lettera molto gentile — risposta dovuta.",
    "Path C:\\temp\\export was mentioned, reason unknown.",
    "Звонил дважды, просил перезвонить.",
    "Emoji day: 🎉👩‍👩‍👧‍👦🏳️‍🌈 and a combining é.",
    "Subscribed via the spring campaign, unsubscribed a week later, came back in summer.",
];

/// The objectives that profiles consent to or refuse.
pub(crate) const OBJECTIVES: [&str; 5] = [
    "personalization",
    "analytics",
    "e_mail_marketing",
    "third_party_ads",
    "doelstelling_één",
];

/// Names and shares (of 256) of the first segments; further ones are derived from them.
pub(crate) const SEGMENTS: [(&str, u64); 8] = [
    ("Preferred visit hour: Afternoon", 128),
    ("Newsletter readers", 90),
    ("Customers with \"open\" orders", 64),
    ("Köln & Umgebung", 51),
    ("High value", 31),
    ("Mobile visitors", 205),
    ("VIP 🌟", 8),
    ("At risk / churn", 20),
];

pub(crate) const TAGS: [&str; 4] = ["marketing", "Kundenservice", "A/B test", "α"];
pub(crate) const USERS: [&str; 5] = [
    "anna@tenant.example",
    "ops@tenant.example",
    "BlueConic",
    "björn@tenant.example",
    "support@vendor.example",
];
