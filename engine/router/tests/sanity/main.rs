//! Requests that were here before, responses of somebody else, and what the router asks of a request
//! before it looks at what it wants: RFC 3261 8.1.3.3, 8.2, 16.3, 18.1.2.

mod requests;
mod responses;
mod world;
