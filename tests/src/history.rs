//! Clients that race on a few keys, and the history of what they were told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use cairn_testkit::linear::{Input, Operation, Output, Register, Verdict, check};
use http::Method;
use parking_lot::Mutex;
use tokio::task::JoinSet;

use crate::cluster::Ready;
use crate::s3::{Reply, S3};

/// Keys that clients race on at a time.
const KEYS: u64 = 5;
/// After about this many operations on a key it gives way to a new one: the checker's bound.
const OPERATIONS_A_KEY: u64 = 200;
/// Configurations the checker may visit for one key.
const CHECK_LIMIT: usize = 5_000_000;
/// An operation that is not answered by then is open.
const PATIENCE: Duration = Duration::from_secs(8);

type Value = u64;
type Entry = Operation<Input<Value>, Output<Value>>;

/// What all clients write down.
#[derive(Debug)]
pub struct Recorder {
    bucket: String,
    began: Instant,
    stop: AtomicBool,
    started: AtomicU64,
    next_value: AtomicU64,
    answered: AtomicU64,
    notes: Mutex<Notes>,
}

#[derive(Default, Debug)]
struct Notes {
    keys: BTreeMap<String, Vec<Entry>>,
    /// Which value an ETag stands for: bodies are unique, so ETags are.
    values: BTreeMap<String, Value>,
    /// Of each key: an ETag somebody saw last.
    seen: BTreeMap<String, String>,
    surprises: Vec<String>,
}

/// What was found.
#[derive(Clone, Copy, Debug)]
pub struct Summary {
    pub keys: usize,
    pub operations: usize,
    pub open: usize,
}

impl Recorder {
    #[must_use]
    pub fn new(bucket: &str) -> Arc<Self> {
        Arc::new(Self {
            bucket: bucket.to_owned(),
            began: Instant::now(),
            stop: AtomicBool::new(false),
            started: AtomicU64::new(0),
            next_value: AtomicU64::new(1),
            answered: AtomicU64::new(0),
            notes: Mutex::new(Notes::default()),
        })
    }

    /// Starts `clients`, spread over `endpoints`.
    pub fn race(self: &Arc<Self>, clients: u64, endpoints: &[String], ready: &Ready) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        for client in 0..clients {
            let gateways: Vec<S3> = endpoints.iter().map(|endpoint| gateway(endpoint, ready)).collect();
            tasks.spawn(Arc::clone(self).client(client, gateways));
        }
        tasks
    }

    /// Operations that were answered so far.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::SeqCst)
    }

    pub fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
    }

    /// Checks every key's history.
    pub fn verdict(&self) -> Result<Summary> {
        let notes = self.notes.lock();
        ensure!(
            notes.surprises.is_empty(),
            "answers nobody should get: {:?}",
            &notes.surprises[..notes.surprises.len().min(10)]
        );
        let mut summary = Summary { keys: notes.keys.len(), operations: 0, open: 0 };
        for (key, history) in &notes.keys {
            summary.operations += history.len();
            summary.open += history.iter().filter(|entry| entry.returned.is_none()).count();
            match check(&Register::default(), history, CHECK_LIMIT) {
                Verdict::Linearizable => {}
                Verdict::Undecided => println!("undecided: {key} with {} operations", history.len()),
                Verdict::Violation { explained } => {
                    let mut sorted: Vec<&Entry> = history.iter().collect();
                    sorted.sort_by_key(|entry| entry.called);
                    let lines: Vec<String> = sorted.iter().map(|entry| format!("{entry:?}")).collect();
                    bail!("{key} is not linearizable; {} explained of:\n{}", explained.len(), lines.join("\n"));
                }
            }
        }
        Ok(summary)
    }

    async fn client(self: Arc<Self>, number: u64, mut gateways: Vec<S3>) {
        let mut draw = Draw(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut at = usize::try_from(number).unwrap_or(0) % gateways.len();
        while !self.stop.load(Ordering::SeqCst) {
            let generation = self.started.fetch_add(1, Ordering::SeqCst) / (KEYS * OPERATIONS_A_KEY);
            let key = format!("g{generation}/k{}", draw.below(KEYS));
            let answered = match draw.below(100) {
                0..30 => self.put(&mut gateways[at], &key).await,
                30..60 => self.get(&mut gateways[at], &key).await,
                60..70 => self.write(&mut gateways[at], &key, Input::Write(None), Method::DELETE, None).await,
                70..80 => self.create(&mut gateways[at], &key).await,
                80..92 => self.swap(&mut gateways[at], &key).await,
                _ => self.list(&mut gateways[at], generation).await,
            };
            if !answered {
                // Its gateway may be gone: the next one is asked, as a balancer would.
                at = (at + 1) % gateways.len();
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    async fn put(&self, s3: &mut S3, key: &str) -> bool {
        let value = self.fresh();
        self.write(s3, key, Input::Write(Some(value)), Method::PUT, None).await
    }

    async fn create(&self, s3: &mut S3, key: &str) -> bool {
        let input = Input::Swap { expected: None, new: Some(self.fresh()) };
        self.write(s3, key, input, Method::PUT, Some(("if-none-match", "*".to_owned()))).await
    }

    /// A write on the condition that the key holds what somebody saw last.
    async fn swap(&self, s3: &mut S3, key: &str) -> bool {
        let seen = {
            let notes = self.notes.lock();
            notes.seen.get(key).and_then(|etag| Some((etag.clone(), *notes.values.get(etag)?)))
        };
        let Some((etag, expected)) = seen else { return self.get(s3, key).await };
        let input = Input::Swap { expected: Some(expected), new: Some(self.fresh()) };
        self.write(s3, key, input, Method::PUT, Some(("if-match", etag))).await
    }

    fn fresh(&self) -> Value {
        self.next_value.fetch_add(1, Ordering::SeqCst)
    }

    /// Answers whether the operation was.
    async fn write(
        &self,
        s3: &mut S3,
        key: &str,
        input: Input<Value>,
        method: Method,
        condition: Option<(&str, String)>,
    ) -> bool {
        let body = match &input {
            Input::Write(Some(value)) | Input::Swap { new: Some(value), .. } => body_of(*value),
            _ => String::new(),
        };
        let headers: Vec<(&str, &str)> = condition.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let called = self.now();
        let reply = s3.send(method, &format!("/{}/{key}", self.bucket), &[], &headers, body).await;
        let conditional = matches!(input, Input::Swap { .. });
        let output = match &reply {
            Ok(reply) => match reply.status {
                200 | 204 => Some(Output::Done),
                412 if conditional => Some(Output::Refused),
                404 if conditional => Some(Output::Refused),
                // Nothing happened: 409 and 503 are only given where that is sure.
                409 | 503 => return false,
                500 => None,
                _ => {
                    self.surprise(key, reply);
                    None
                }
            },
            Err(_) => None,
        };
        if let (Ok(reply), Some(Output::Done), Input::Write(Some(value)) | Input::Swap { new: Some(value), .. }) =
            (&reply, &output, &input)
        {
            self.saw(key, reply.header("etag"), *value);
        }
        self.record(key, called, input, output)
    }

    async fn get(&self, s3: &mut S3, key: &str) -> bool {
        let called = self.now();
        let Ok(reply) = s3.get(&self.bucket, key).await else { return false };
        let value = match reply.status {
            200 => match reply.text().trim_start_matches('v').parse() {
                Ok(value) => Some(value),
                Err(_) => {
                    self.surprise(key, &reply);
                    return false;
                }
            },
            404 => None,
            500 | 503 => return false,
            _ => {
                self.surprise(key, &reply);
                return false;
            }
        };
        if let Some(value) = value {
            self.saw(key, reply.header("etag"), value);
        }
        self.record(key, called, Input::Read, Some(Output::Value(value)))
    }

    /// A listing reads every key of its generation: one operation each.
    async fn list(&self, s3: &mut S3, generation: u64) -> bool {
        let called = self.now();
        let prefix = format!("g{generation}/");
        let Ok(reply) = s3.list(&self.bucket, &[("prefix", &prefix)]).await else { return false };
        if reply.status != 200 {
            return false;
        }
        let listed: BTreeMap<String, String> = reply.elements("Key").into_iter().zip(reply.elements("ETag")).collect();
        for number in 0..KEYS {
            let key = format!("{prefix}k{number}");
            let value = match listed.get(&key) {
                None => None,
                // The ETag of a write whose answer was lost is known to nobody: that entry proves nothing.
                Some(etag) => match self.notes.lock().values.get(etag) {
                    Some(value) => Some(*value),
                    None => continue,
                },
            };
            self.record(&key, called, Input::Read, Some(Output::Value(value)));
        }
        true
    }

    fn saw(&self, key: &str, etag: &str, value: Value) {
        let mut notes = self.notes.lock();
        notes.values.insert(etag.to_owned(), value);
        notes.seen.insert(key.to_owned(), etag.to_owned());
    }

    fn record(&self, key: &str, called: u64, input: Input<Value>, output: Option<Output<Value>>) -> bool {
        let returned = output.map(|output| (self.now(), output));
        let answered = returned.is_some();
        self.notes.lock().keys.entry(key.to_owned()).or_default().push(Operation { called, returned, input });
        self.answered.fetch_add(u64::from(answered), Ordering::SeqCst);
        answered
    }

    fn surprise(&self, key: &str, reply: &Reply) {
        self.notes.lock().surprises.push(format!("{key}: {} {}", reply.status, reply.text()));
    }
}

fn gateway(endpoint: &str, ready: &Ready) -> S3 {
    let mut s3 = S3::new(endpoint, ready);
    s3.patience = PATIENCE;
    s3
}

fn body_of(value: Value) -> String {
    format!("v{value}")
}

/// xorshift64.
struct Draw(u64);

impl Draw {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }
}
