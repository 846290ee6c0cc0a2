//! The part of Flowline that is decidable from data alone. It knows no Ruby and reads no clock,
//! environment or random source: whatever it needs is an argument.
#![forbid(unsafe_code)]

pub mod diagram;
