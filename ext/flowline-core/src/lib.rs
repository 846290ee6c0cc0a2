//! The part of Flowline that is decidable from data alone: the graph, the state machine of a run,
//! diagrams.
//!
//! It knows no Ruby, and reads no clock, environment or random source: these are arguments,
//! so every schedule can be tested without sleeping. Its caller asks it; it never calls back.
#![forbid(unsafe_code)]

pub mod builder;
pub mod diagram;
pub mod event;
pub mod graph;
pub mod ids;
mod items;
pub mod journal;
pub mod json;
pub mod names;
pub mod ranking;
pub mod resources;
pub mod retry;
pub mod run;
pub mod schedule;
pub mod store;
pub mod text;
