//! Simulates full walks over a tenant of hundreds of millions of profiles, with the program's own hashes, parts and sets, and
//! everything around them by arithmetic: which ids there are, in which order they are listed, which were deleted on which day.
//! The database is a folder of files, one for each part of the table, in which a page of a walk is a row.
//!
//! Each day 0.1% of the profiles are deleted, PostgreSQL crashes a few times and loses the last pages, and on some days the
//! cursor dies and the listing begins anew. It prints a line for each day and fails if a profile that is there was removed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read as _, Write as _};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Instant;

use blueconic_sync::model::sampling::SAMPLE;
use blueconic_sync::model::seen::{IdHasher, PART_ROWS, SAMPLED, SeenIds, bounds_of, decode, ranges};
use blueconic_sync::model::sorted_hashes::SortedHashes;
use clap::Parser;

/// Characters of an id.
const ID: usize = 10;
/// Profiles of a thousand that are deleted each day.
const DELETED: u64 = 1;
/// Look-ups that one sweep may spend.
const LOOKUPS: usize = 10_000;
/// Pages that a crash loses at most.
const LOST: u64 = 3;

/// Simulates full walks over a large tenant.
#[derive(Debug, Parser)]
struct Arguments {
    /// The tenant's profiles on the first day.
    #[arg(long, default_value_t = 300_000_000)]
    profiles: u64,
    /// Simulated days, each with one walk.
    #[arg(long, default_value_t = 10)]
    days: u64,
    /// Profiles of a page.
    #[arg(long, default_value_t = 10_000)]
    page_size: u64,
    /// Where the files of the simulated database lie.
    #[arg(long)]
    folder: PathBuf,
}

/// A tenant that takes no memory.
struct Tenant {
    profiles: u64,
    page_size: u64,
}

impl Tenant {
    /// The ids of a page, one after another, in the tenant's own order.
    fn page(&self, page: u64, day: u64, into: &mut String) {
        into.clear();
        let end = ((page + 1) * self.page_size).min(self.profiles);
        for place in page * self.page_size..end {
            let number = place * 7_368_787 % self.profiles;
            if is_there(number, day) && !is_left_out(number, day) {
                push_id(number, into);
            }
        }
    }

    fn pages(&self) -> u64 {
        self.profiles.div_ceil(self.page_size)
    }
}

/// Whether a profile is there on a day: 0.1% of all go each day.
fn is_there(number: u64, day: u64) -> bool {
    mixed(number) % 1000 >= DELETED * day
}

/// Whether the listing of a day leaves out a profile that is there: one of a million.
fn is_left_out(number: u64, day: u64) -> bool {
    mixed(number ^ ((day + 1) << 40)).is_multiple_of(1_000_000)
}

/// Appends the id of a profile: ids sort as the numbers do.
fn push_id(number: u64, into: &mut String) {
    for digit in (0..ID).rev() {
        let digit = u32::try_from(number >> (4 * digit) & 15).unwrap_or(0);
        into.push(char::from_digit(digit, 16).unwrap_or('0'));
    }
}

fn id(number: u64) -> String {
    let mut id = String::with_capacity(ID);
    push_id(number, &mut id);
    id
}

/// A number without structure (the finalizer of `MurmurHash3`).
fn mixed(mut number: u64) -> u64 {
    number ^= number >> 33;
    number = number.wrapping_mul(0xff51_afd7_ed55_8ccd);
    number ^= number >> 33;
    number = number.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    number ^ number >> 33
}

/// What a walk saw, as a file for each part.
struct Seen {
    files: Vec<BufWriter<File>>,
    paths: Vec<PathBuf>,
    lengths: Vec<u64>,
}

impl Seen {
    fn create(folder: &Path, parts: usize) -> io::Result<Self> {
        let paths: Vec<PathBuf> = (0..parts)
            .map(|part| folder.join(format!("part-{part}")))
            .collect();
        let create = |path| {
            OpenOptions::new()
                .create(true)
                .truncate(true)
                .write(true)
                .open(path)
        };
        let files = paths
            .iter()
            .map(|path| Ok(BufWriter::with_capacity(8 * 1024, create(path)?)))
            .collect::<io::Result<_>>()?;
        Ok(Self {
            files,
            lengths: vec![0; parts],
            paths,
        })
    }

    fn record(&mut self, seen: &SeenIds) -> io::Result<()> {
        for (part, hashes) in seen.encoded() {
            self.files[part].write_all(&hashes)?;
            self.lengths[part] += hashes.len() as u64;
        }
        Ok(())
    }

    /// The crash of the database: what came after these lengths is gone.
    fn lose(&mut self, lengths: &[u64]) -> io::Result<()> {
        for (file, length) in self.files.iter_mut().zip(lengths) {
            file.flush()?;
            file.get_ref().set_len(*length)?;
            io::Seek::seek(file, io::SeekFrom::Start(*length))?;
        }
        self.lengths.copy_from_slice(lengths);
        Ok(())
    }

    fn within(&mut self, part: usize, range: &RangeInclusive<u64>) -> io::Result<SortedHashes> {
        self.files[part].flush()?;
        let count = self.lengths[part] / 8;
        let expected = usize::try_from(count).unwrap_or(0) / ranges(count).count();
        let mut hashes = Vec::with_capacity(expected + expected / 64);
        let mut file = File::open(&self.paths[part])?;
        let mut chunk = vec![0; 64 * 1024];
        let mut filled = 0;
        loop {
            let read = file.read(&mut chunk[filled..])?;
            if read == 0 {
                return Ok(SortedHashes::of(hashes));
            }
            filled += read;
            let whole = filled / 8 * 8;
            hashes.extend(decode(&chunk[..whole]).filter(|hash| range.contains(hash)));
            chunk.copy_within(whole..filled, 0);
            filled -= whole;
        }
    }

    fn bytes(&self) -> u64 {
        self.lengths.iter().sum()
    }
}

/// What a walk left behind.
#[derive(Default)]
struct Day {
    read_pages: u64,
    crashes: u64,
    listings: u64,
    seen_bytes: u64,
    distinct: u64,
    candidates: usize,
    looked_up: usize,
    removed: usize,
    wrongly_removed: usize,
}

/// What the database holds of the tenant, as far as it is not arithmetic.
#[derive(Default)]
struct Stored {
    /// Profiles that were removed, in order.
    removed: Vec<u32>,
    /// Candidates that the walk before did not see either and that are there still, in order.
    missed_before: Vec<u32>,
}

fn walk(tenant: &Tenant, day: u64, folder: &Path, stored: &mut Stored) -> io::Result<Day> {
    let parts = tenant.profiles.div_ceil(PART_ROWS);
    let mut sample: Vec<String> = (0..parts * SAMPLED)
        .map(|number| id(mixed(number ^ day << 50) % tenant.profiles))
        .collect();
    sample.sort_unstable();
    let hasher = IdHasher::new(
        walk_id(day),
        if parts < 2 {
            Vec::new()
        } else {
            bounds_of(&sample, parts)
        },
    );
    let mut seen = Seen::create(folder, hasher.parts())?;
    let mut found = Day {
        listings: 1,
        ..Day::default()
    };
    read(tenant, day, &hasher, &mut seen, &mut found)?;
    found.seen_bytes = seen.bytes();
    sweep(tenant, day, &hasher, &mut seen, &mut found, stored)?;
    Ok(found)
}

/// A walk's id: any will do, if it differs from day to day.
fn walk_id(day: u64) -> uuid::Uuid {
    uuid::Uuid::from_u64_pair(mixed(day), mixed(!day))
}

fn read(tenant: &Tenant, day: u64, hasher: &IdHasher, seen: &mut Seen, found: &mut Day) -> io::Result<()> {
    let pages = tenant.pages();
    let crashes_at: Vec<u64> = (0..3).map(|number| mixed(day * 10 + number) % pages).collect();
    let mut crashed = [false; 3];
    let dies_at = (day % 3 == 1).then(|| mixed(!day) % pages);
    let mut has_died = false;
    let mut ids = String::new();
    // What stood in the database before each of the last pages.
    let mut durable: Vec<(u64, Vec<u64>)> = Vec::new();
    let mut page = 0;
    while page < pages {
        durable.push((page, seen.lengths.clone()));
        if durable.len() as u64 > LOST {
            durable.remove(0);
        }
        tenant.page(page, day, &mut ids);
        let each = ids
            .as_bytes()
            .chunks(ID)
            .map(|id| std::str::from_utf8(id).unwrap_or_default());
        seen.record(&SeenIds::of(hasher, each))?;
        found.read_pages += 1;
        page += 1;
        for (place, at) in crashes_at.iter().enumerate() {
            if page == *at && !crashed[place] {
                crashed[place] = true;
                found.crashes += 1;
                let (stored_page, lengths) = durable.remove(0);
                seen.lose(&lengths)?;
                durable.clear();
                page = stored_page;
            }
        }
        if Some(page) == dies_at && !has_died {
            // The listing begins anew, and what it covered is kept.
            (has_died, page) = (true, 0);
            found.listings += 1;
            durable.clear();
        }
    }
    Ok(())
}

fn sweep(
    tenant: &Tenant,
    day: u64,
    id_hasher: &IdHasher,
    seen: &mut Seen,
    found: &mut Day,
    stored: &mut Stored,
) -> io::Result<()> {
    let mut candidates: Vec<u32> = Vec::new();
    let mut next_part = 0;
    let mut id = String::with_capacity(ID);
    for part in 0..id_hasher.parts() {
        let first = next_part;
        let (_, end) = id_hasher.bounds(part);
        let end = end.map(str::to_owned);
        for range in ranges(seen.lengths[part] / 8) {
            let hashes = seen.within(part, &range)?;
            found.distinct += hashes.len() as u64;
            let mut number = first;
            while number < tenant.profiles {
                id.clear();
                push_id(number, &mut id);
                if end.as_ref().is_some_and(|end| id > *end) {
                    break;
                }
                let hash = id_hasher.hash(&id);
                if range.contains(&hash) && !hashes.holds(hash) {
                    let candidate = u32::try_from(number).map_err(io::Error::other)?;
                    if stored.removed.binary_search(&candidate).is_err() {
                        candidates.push(candidate);
                    }
                }
                number += 1;
            }
            next_part = number;
        }
    }
    candidates.sort_unstable();
    found.candidates = candidates.len();
    judge(day, found, stored, candidates);
    Ok(())
}

/// Removes the candidates that are gone, as far as look-ups reach; those that two walks missed on a sample.
fn judge(day: u64, found: &mut Day, stored: &mut Stored, candidates: Vec<u32>) {
    let is_gone = |number: &u32| !is_there(u64::from(*number), day);
    let (twice, once): (Vec<u32>, Vec<u32>) = candidates
        .into_iter()
        .partition(|number| stored.missed_before.binary_search(number).is_ok());
    let mut removed: Vec<u32> = Vec::new();
    let mut left: Vec<u32> = Vec::new();
    let mut budget = LOOKUPS;
    let sample = usize::try_from(SAMPLE).unwrap_or(usize::MAX);
    let place =
        |number: usize| usize::try_from(mixed(number as u64 ^ day << 20)).unwrap_or(0) % twice.len().max(1);
    let all_gone = twice.len() > sample && (0..sample).all(|number| is_gone(&twice[place(number)]));
    if all_gone {
        budget -= sample;
        found.looked_up += sample;
        found.wrongly_removed += twice.iter().filter(|number| !is_gone(number)).count();
        removed.extend(&twice);
    }
    let rest = if all_gone { Vec::new() } else { twice };
    for number in rest.into_iter().chain(once) {
        if budget == 0 {
            left.push(number);
            continue;
        }
        budget -= 1;
        found.looked_up += 1;
        if is_gone(&number) {
            removed.push(number);
        }
    }
    found.removed = removed.len();
    stored.removed.extend(removed);
    stored.removed.sort_unstable();
    left.sort_unstable();
    stored.missed_before = left;
}

/// The most memory that this process has taken, in MiB.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = peak.and_then(|peak| peak.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) / 1024
}

#[expect(clippy::print_stdout, reason = "it prints its table")]
fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    fs::create_dir_all(&arguments.folder)?;
    let tenant = Tenant {
        profiles: arguments.profiles,
        page_size: arguments.page_size,
    };
    let mut stored = Stored::default();
    let mut wrongly = 0;
    println!(
        "| day | seconds | pages | listings | crashes | seen, MB | distinct | candidates | looked up | removed | wrongly | backlog | peak, MiB |"
    );
    println!("|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
    for day in 0..arguments.days {
        let began = Instant::now();
        let found = walk(&tenant, day, &arguments.folder, &mut stored)?;
        wrongly += found.wrongly_removed;
        println!(
            "| {} | {:.0} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            day + 1,
            began.elapsed().as_secs_f64(),
            found.read_pages,
            found.listings,
            found.crashes,
            found.seen_bytes / 1_000_000,
            found.distinct,
            found.candidates,
            found.looked_up,
            found.removed,
            found.wrongly_removed,
            stored.missed_before.len(),
            peak()
        );
    }
    fs::remove_dir_all(&arguments.folder)?;
    if wrongly > 0 {
        return Err(io::Error::other(format!(
            "{wrongly} profiles that are there were removed"
        )));
    }
    Ok(())
}
