//! One URL, from its first try to the end of its last.

use std::future::Future;
use std::pin::pin;
use std::time::{Duration, Instant, SystemTime};

use l402::PaymentHash;
use tollway_client::{Client, Error, Payment, Quote, Request, Response};

use super::deliver::Delivery;
use super::flags::conditional::Resume;
use super::plan::{AskFlags, Job, Plan};
use super::report::{Got, WouldPay};
use super::retry::{Retries, is_transient, retry_after};
use super::talk::{self, Steps, Talk};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::shell::Shell;

/// What all transfers of a command have in common.
pub(crate) struct Transfers<'a> {
    pub(crate) client: &'a Client,
    pub(crate) flags: &'a AskFlags,
    pub(crate) plan: &'a Plan,
    pub(crate) talk: &'a Talk<'a>,
    pub(crate) shell: &'a Shell,
    /// What is done where payment is asked.
    pub(crate) bill: Bill<'a>,
    /// Buy once more what was never honoured.
    pub(crate) buy_again: bool,
    /// Whether a bar may be drawn.
    pub(crate) show_progress: bool,
    /// Whether all that is known of a payment is to be in the report, and the proof too.
    pub(crate) detail: Detail,
}

/// How much of a payment is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// What the answer brought along.
    Little,
    /// What the wallet knows, but for what is secret.
    All,
    /// The proof, too.
    Secrets,
}

/// What is done where payment is asked.
#[derive(Clone, Copy)]
pub(crate) enum Bill<'a> {
    /// It is paid, as far as was agreed to.
    Pay,
    /// Nothing is paid: what costs something is an error that says the price.
    Refuse,
    /// It was paid: by these payments, one for each URL.
    Paid(&'a [PaymentHash]),
}

/// How a transfer ended.
pub(crate) struct Ended {
    pub(crate) got: Got,
    pub(crate) failure: Option<Failure>,
}

impl Ended {
    /// The number that the shell gets for it.
    pub(crate) fn exit(&self) -> Exit {
        self.failure.as_ref().map_or(Exit::Ok, Exit::of)
    }
}

impl Transfers<'_> {
    /// Gets one URL.
    pub(crate) async fn run(&self, job: &Job) -> Ended {
        let started = Instant::now();
        let mut got = Got {
            number: job.number,
            url: job.url.to_string(),
            method: self.plan.sending.method.to_string(),
            scheme: job.url.scheme().to_owned(),
            bytes_sent: self.plan.sending.length,
            ..Got::default()
        };
        let mut retries = Retries::new(&self.flags.limits);
        let failure = loop {
            let tried = self.attempt(job, started, &mut got, &mut retries).await;
            let (failure, passes) = match tried {
                Ok(None) => break None,
                Ok(Some(wait)) => {
                    tokio::time::sleep(wait).await;
                    continue;
                }
                Err(failure) => {
                    let may_pass = retries.may_pass(&failure) && self.can_begin_anew(job, &got);
                    (failure, may_pass)
                }
            };
            match passes.then(|| retries.next(None)).flatten() {
                Some(wait) => {
                    self.talk.say(&format!("{failure}; trying again in {} s", wait.as_secs_f32()));
                    tokio::time::sleep(wait).await;
                }
                None => break Some(failure),
            }
        };
        got.retries = retries.done();
        self.tell_payment(job, &mut got, failure.as_ref()).await;
        finish(&mut got, started.elapsed(), failure.as_ref());
        Ended { got, failure }
    }

    /// Adds what the wallet knows of the payment. Where it cannot be read, the answer is there all the
    /// same.
    async fn tell_payment(&self, job: &Job, got: &mut Got, failure: Option<&Failure>) {
        if let Some(failure) = failure {
            got.failed(failure);
        }
        if self.detail == Detail::Little {
            return;
        }
        if let Some(hash) = got.payment.hash()
            && let Ok(Some(entry)) = self.client.entry(hash).await
            && let Some(token) = entry.token()
        {
            let paid = std::mem::take(&mut got.payment);
            got.payment = paid.known(token, self.detail == Detail::Secrets);
        }
        let left = self.client.left_for(&job.url).await;
        got.payment.budget_remaining_msat = left.ok().flatten().map(l402::Msat::msat);
    }

    /// What was written to stdout cannot be taken back.
    fn can_begin_anew(&self, job: &Job, got: &Got) -> bool {
        got.bytes == 0 || job.place.known_file().is_some()
    }

    /// One try. It may ask for another one, after a wait.
    async fn attempt(
        &self,
        job: &Job,
        started: Instant,
        got: &mut Got,
        retries: &mut Retries<'_>,
    ) -> Result<Option<Duration>, Failure> {
        got.bytes = 0;
        let (mut request, headers, resume) = self.flags.request(self.plan, job)?;
        if self.buy_again {
            request = request.buy_again();
        }
        let steps = Steps::new(self.talk, &self.plan.sending.method, &request, &headers);
        let work = self.ask_and_deliver(job, &request, resume, &steps, started, got, retries);
        within(self.flags.limits.max_time, &steps, work).await
    }

    #[allow(clippy::too_many_arguments, reason = "one try knows all of it, and nobody else does")]
    async fn ask_and_deliver(
        &self,
        job: &Job,
        request: &Request,
        resume: Option<Resume>,
        steps: &Steps<'_>,
        started: Instant,
        got: &mut Got,
        retries: &mut Retries<'_>,
    ) -> Result<Option<Duration>, Failure> {
        let response = self.ask(job, request, steps).await?;
        steps.answered(&response);
        got.head(&response);
        got.head_seconds = Some(started.elapsed().as_secs_f64());
        got.points(started, steps.timings());
        if let Some(line) = talk::sum_up(response.payment()) {
            self.talk.say(&line);
        }
        let status = response.status();
        let said = retry_after(response.headers(), SystemTime::now());
        if is_transient(status)
            && let Some(wait) = retries.next(said)
        {
            self.talk.say(&format!("{status}; trying again in {} s", wait.as_secs_f32()));
            return Ok(Some(wait));
        }
        self.hand_on(job, response, resume, got).await.map(|()| None)
    }

    async fn ask(
        &self,
        job: &Job,
        request: &Request,
        steps: &Steps<'_>,
    ) -> Result<Response, Failure> {
        let failed = |error: Error| Failure::Fetch(Box::new(error));
        let client = self.client;
        let quoted = match self.bill {
            Bill::Pay => return client.fetch_observed(request, steps).await.map_err(failed),
            Bill::Refuse => client.quote(request).await,
            Bill::Paid(payments) => client.collect(request, payments[job.number], steps).await,
        };
        match quoted.map_err(failed)? {
            Quote::Answered(response) => Ok(*response),
            Quote::Price(price) => {
                let price = WouldPay::price(&price).price_words();
                Err(match self.bill {
                    Bill::Paid(payments) => {
                        Failure::AskedAgain { hash: payments[job.number], price }
                    }
                    Bill::Pay | Bill::Refuse => Failure::NotToPay(price),
                })
            }
        }
    }

    async fn hand_on(
        &self,
        job: &Job,
        response: Response,
        resume: Option<Resume>,
        got: &mut Got,
    ) -> Result<(), Failure> {
        let output = &self.flags.output;
        let status = response.status();
        let is_bad = status.is_client_error() || status.is_server_error();
        let failure = (is_bad && (output.fail || output.fail_with_body)).then(|| Failure::Status {
            status,
            retry_after: retry_after(response.headers(), SystemTime::now()),
            paid: match response.payment() {
                Payment::Bought(receipt) | Payment::Recovered(receipt) => Some(receipt.hash),
                Payment::None | Payment::Token(_) => None,
            },
        });
        let is_complete = status.as_u16() == 416 && resume.is_some();
        match failure {
            Some(failure) if output.fail && !is_complete => return Err(failure),
            _ => {}
        }
        let delivery = Delivery {
            flags: self.flags,
            talk: self.talk,
            place: &job.place,
            resume,
            in_report: self.shell.is_json(),
            show_progress: self.show_progress,
        };
        delivery.run(response, got).await?;
        failure.filter(|_| !is_complete).map_or(Ok(()), Err)
    }
}

/// Lets work take so long, but waits for a payment that is on its way: cut off, its proof would have
/// to be asked of the node.
async fn within<T>(
    limit: Option<Duration>,
    steps: &Steps<'_>,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let Some(limit) = limit else { return work.await };
    let mut work = pin!(work);
    tokio::select! {
        done = &mut work => return done,
        () = tokio::time::sleep(limit) => {}
    }
    while steps.is_paying() {
        tokio::select! {
            done = &mut work => return done,
            () = steps.changed() => {}
        }
    }
    Err(Failure::TimedOut { limit, paid: steps.paid() })
}

fn finish(got: &mut Got, took: Duration, failure: Option<&Failure>) {
    got.seconds = took.as_secs_f64();
    got.duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let speed = u128::from(got.bytes) * 1_000_000 / took.as_micros().max(1);
    got.bytes_per_second = u64::try_from(speed).unwrap_or(u64::MAX);
    if let Some(failure) = failure {
        let exit = Exit::of(failure);
        got.exit_code = exit.code();
        got.error = Some(failure.json(exit));
    }
}
