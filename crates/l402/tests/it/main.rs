//! The protocol against other people's data and against its own vectors: what every deployed client
//! and server must be able to read, what must be refused, and the laws of the buyer's conversation.

mod attacks;
mod clients;
mod flow;
mod fuzz;
mod golden;
mod hostile;
mod support;
mod vectors;
