//! The embedded PostgreSQL from outside: real clusters, several processes, and every way to die.

mod holder;
mod life;
mod refused;
mod revived;
