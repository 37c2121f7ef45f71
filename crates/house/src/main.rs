//! Prints the figures of a checkout, which is its only argument. `script/house` calls it.

use std::error::Error;
use std::io::Write as _;
use std::path::PathBuf;

use house::House;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.ok_or("name the folder of a checkout")?;
    write!(std::io::stdout(), "{}", House::of(&folder)?)?;
    Ok(())
}
