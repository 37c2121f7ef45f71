//! The probe: three tenants that differ in everything that it asks, what it keeps, what it tells nobody, and how it stops.

mod end;
mod private;
mod tenants;
mod three;
