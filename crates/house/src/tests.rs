//! Tests with small generated checkouts.

use tempfile::TempDir;

use super::House;

struct Checkout(TempDir);

impl Checkout {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn house(&self) -> House {
        House::of(self.0.path()).unwrap()
    }
}

/// Circles are found through braces, `super` and re-exports, too.
#[test]
fn a_circle_is_found_and_an_import_back_up_is_named() {
    let checkout = Checkout::new();
    let write = |path: &str, text: &str| checkout.write(&format!("src/{path}"), text);
    write("lib.rs", "mod above;\nmod room;\n");
    write("above.rs", "use crate::room::door::Door;\n");
    write("room/mod.rs", "mod door;\nmod key;\nmod lock;\nmod wall;\n");
    write(
        "room/door.rs",
        "use super::{\n    wall,\n    lock::{self, Lock},\n};\n",
    );
    write(
        "room/lock.rs",
        "//! crate::room::wall\nfn turn() { super::key::turn() }\n",
    );
    write("room/key.rs", "use crate::room::door::Door as Way;\n");
    write(
        "room/wall.rs",
        "fn stands() {}\n\n#[cfg(test)]\n#[expect(a)]\nmod tests {\n    use super::door::Door;\n}\n",
    );
    let house = checkout.house();
    assert_eq!(
        house.circles(),
        [["src/room/door.rs", "src/room/key.rs", "src/room/lock.rs"]]
    );
    assert_eq!(house.upward(), [("src/room/key.rs", "src/room/door.rs")]);
    assert_eq!(house.long(), []);
    assert!(house.to_string().contains("1 imports that run back up"));
}

/// A crate is one layer, its root included; each of its binaries is a crate of its own.
#[test]
fn crates_are_read_too() {
    let checkout = Checkout::new();
    checkout.write("src/lib.rs", "mod door;\n");
    checkout.write("src/door.rs", "use key::lock::Lock;\n");
    checkout.write(
        "crates/key/src/lib.rs",
        "use lock::Lock;\nmod lock;\nmod wall;\npub struct Key;\n",
    );
    checkout.write("crates/key/src/lock.rs", "use crate::Key;\n");
    checkout.write("crates/key/src/wall.rs", "use crate::Key;\n");
    checkout.write(
        "crates/key/src/bin/turn/main.rs",
        "mod one;\nmod two;\nuse one::One;\n",
    );
    checkout.write("crates/key/src/bin/turn/one.rs", "use crate::two::Two;\n");
    checkout.write("crates/key/src/bin/turn/two.rs", "use super::one::One;\n");
    checkout.write("crates/key/src/bin/alone.rs", "fn key() { crate::key() }\n");
    let house = checkout.house();
    assert_eq!(
        house.circles(),
        [
            ["crates/key/src/bin/turn/one.rs", "crates/key/src/bin/turn/two.rs"],
            ["crates/key/src/lib.rs", "crates/key/src/lock.rs"]
        ]
    );
}
