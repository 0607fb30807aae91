// The view of all live queries of the server: what they do together, what each costs, and what wakes it. It is read again and
// again while it is looked at.

import { Fragment, useEffect, useId, useState } from "react";
import { clockOf } from "./activity.js";
import { boundOf, bytesOf, countOf, rateOf, timeOf } from "./quantities.js";
import { showEditor } from "./view.js";

const EVERY_MS = 2_000;
const FIRST = 100;
/** What this page follows itself. */
const OWN = new Set(["ConsoleSchema", "ConsoleCollections"]);

export function LiveQueries() {
  const [by, setBy] = useState("cost");
  const { shown, before, error } = usePolled(by);
  useEscape(showEditor);
  return (
    <main className="console-live" aria-label="Live queries">
      <div className="console-live-head">
        <h2>Live queries</h2>
        <p>What clients follow, and what it costs. Read every {EVERY_MS / 1000} seconds.</p>
        <button type="button" className="console-back" onClick={showEditor}>
          Back to the editor
        </button>
      </div>
      {error && (
        <p className="console-live-error" role="alert">
          The server did not tell: {error}. {shown ? `This is from ${clockOf(shown.at)}; it is asked again.` : "It is asked again."}
        </p>
      )}
      {!shown && !error && <p className="console-live-hint">Asking the server…</p>}
      {shown && (
        <>
          <Totals shown={shown.answer} before={before?.answer} seconds={before ? (shown.read - before.read) / 1000 : 0} />
          <Queries answer={shown.answer} by={by} onOrder={setBy} />
        </>
      )}
    </main>
  );
}

/** The newest answer of the server and the one before it, or why there is none. Nothing is asked while nobody looks. */
function usePolled(by) {
  const [state, setState] = useState({});
  useEffect(() => {
    const ended = new AbortController();
    let timer;
    const ask = async () => {
      clearTimeout(timer);
      if (document.hidden) return;
      try {
        const answer = await read(by, ended.signal);
        const shown = { answer, by, read: performance.now(), at: String(Date.now() * 1000) };
        setState(({ shown: last, before }) => ({ shown, before: last && shown.read - last.read < EVERY_MS / 2 ? before : last }));
      } catch (error) {
        if (ended.signal.aborted) return;
        setState(({ shown, before }) => ({ shown, before, error: error.message }));
      }
      if (!ended.signal.aborted) timer = setTimeout(ask, EVERY_MS);
    };
    document.addEventListener("visibilitychange", ask);
    ask();
    return () => {
      document.removeEventListener("visibilitychange", ask);
      clearTimeout(timer);
      ended.abort();
    };
  }, [by]);
  return state;
}

async function read(by, signal) {
  const response = await fetch(`/live?first=${FIRST}&by=${by}`, { signal });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.errors?.[0]?.message ?? `status ${response.status}`);
  return answer;
}

function useEscape(action) {
  useEffect(() => {
    const press = (event) => event.key === "Escape" && !event.defaultPrevented && action();
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, [action]);
}

const FIGURES = [
  ["matched", "Matched", "How often a commit was found to touch a live query"],
  ["woken", "Woken", "Runs of live queries that a commit touched"],
  ["reExecuted", "Re-executed", "Runs that read the store"],
  ["maintained", "Maintained", "Runs in which the changes told all that costs something to read"],
  ["sent", "Sent", "Results and patches that clients were given"],
  ["patches", "Patches", "Of what clients were given, the patches"],
  ["suppressed", "Suppressed", "Runs that gave the same result, of which nothing was sent"],
  ["conflated", "Conflated", "Results that a client skipped because a newer one came first"],
];

function Totals({ shown, before, seconds }) {
  const { figures } = shown;
  return (
    <dl className="console-totals">
      <Total name="Subscriptions" title="Clients' registrations" value={countOf(shown.subscriptions)} />
      <Total name="Distinct" title="Live queries: equal ones are one" value={countOf(shown.total)} />
      {FIGURES.map(([key, name, title]) => (
        <Total
          key={key}
          name={name}
          title={title}
          value={countOf(figures[key])}
          rate={before && rateOf(figures[key], before.figures[key], seconds)}
        />
      ))}
      <Total
        name="Round, median"
        title="From the commits that begin a round to all of its results: half of the rounds take at most this"
        value={latency(figures.rounds, 0.5)}
      />
      <Total name="Round, 99 %" title="99 % of the rounds take at most this" value={latency(figures.rounds, 0.99)} />
    </dl>
  );
}

function Total({ name, title, value, rate }) {
  return (
    <div title={title}>
      <dt>{name}</dt>
      <dd>
        {value} {rate && <span className="console-rate">{rate}</span>}
      </dd>
    </div>
  );
}

function latency({ buckets }, part) {
  const bound = boundOf(buckets, part);
  if (!bound) return "–";
  return bound.above === undefined ? `≤ ${timeOf(bound.micros)}` : `> ${timeOf(bound.above)}`;
}

function Queries({ answer: { liveQueries, total }, by, onOrder }) {
  const [open, setOpen] = useState(new Set());
  const toggle = (key) => setOpen((keys) => new Set(keys.has(key) ? [...keys].filter((it) => it !== key) : [...keys, key]));
  const isOnlyOwn = liveQueries.every(({ operationName }) => OWN.has(operationName));
  return (
    <>
      {isOnlyOwn && (
        <p className="console-live-hint">
          No client follows anything{liveQueries.length > 0 ? " but this console" : ""}. Add <code>@live</code> to a query in the editor and
          run it: it is shown here.
        </p>
      )}
      {liveQueries.length > 0 && (
        <div className="console-table">
          <table>
            <thead>
              <tr>
                <th scope="col">Operation</th>
                <Order name="Subscribers" value="subscribers" by={by} onOrder={onOrder} />
                <th scope="col">Result</th>
                <th scope="col">Last change</th>
                <th scope="col">Runs</th>
                <th scope="col">Maintained</th>
                <Order name="Time" value="cost" by={by} onOrder={onOrder} />
                <th scope="col">Per run</th>
              </tr>
            </thead>
            <tbody>
              {liveQueries.map((query) => {
                const key = JSON.stringify([query.operation, query.operationName, query.variables]);
                return <Row key={key} query={query} isOpen={open.has(key)} onToggle={() => toggle(key)} />;
              })}
            </tbody>
          </table>
        </div>
      )}
      {total > liveQueries.length && (
        <p className="console-live-hint">
          {countOf(liveQueries.length)} of {countOf(total)} are shown.
        </p>
      )}
    </>
  );
}

function Order({ name, value, by, onOrder }) {
  const isChosen = by === value;
  return (
    <th scope="col" aria-sort={isChosen ? "descending" : "none"}>
      <button type="button" onClick={() => onOrder(value)} title={`Most ${name.toLowerCase()} first`}>
        {name} <span aria-hidden="true">{isChosen ? "↓" : ""}</span>
      </button>
    </th>
  );
}

function Row({ query, isOpen, onToggle }) {
  const details = useId();
  const { operation, operationName, subscribers, resultBytes, resultTs, cost } = query;
  return (
    <Fragment>
      <tr className={isOpen ? "open" : undefined}>
        <th scope="row">
          <button type="button" aria-expanded={isOpen} aria-controls={isOpen ? details : undefined} onClick={onToggle}>
            <span className="console-name">{operationName ?? "anonymous"}</span>
            {OWN.has(operationName) && <span className="console-badge">this console</span>}
            <code>{operation.replace(/\s+/g, " ").trim().slice(0, 200)}</code>
          </button>
        </th>
        <td>{countOf(subscribers)}</td>
        <td>{bytesOf(resultBytes)}</td>
        <td title={`commitTs ${resultTs}`}>{clockOf(resultTs)}</td>
        <td>{countOf(cost.runs)}</td>
        <td>{cost.runs === 0 ? "–" : `${Math.round((100 * cost.maintained) / cost.runs)} %`}</td>
        <td>{timeOf(cost.micros)}</td>
        <td>{cost.runs === 0 ? "–" : timeOf(cost.micros / cost.runs)}</td>
      </tr>
      {isOpen && (
        <tr className="console-details">
          <td colSpan={8} id={details}>
            <Details query={query} />
          </td>
        </tr>
      )}
    </Fragment>
  );
}

function Details({ query: { operation, variables, cost, dependencies, dependenciesTotal } }) {
  return (
    <div className="console-detail">
      <section>
        <h3>Operation</h3>
        <pre tabIndex={0}>{operation.trim()}</pre>
        {variables && Object.keys(variables).length > 0 && (
          <>
            <h3>Variables</h3>
            <pre tabIndex={0}>{JSON.stringify(variables, null, 2)}</pre>
          </>
        )}
      </section>
      <section>
        <h3>Woken by</h3>
        {dependencies.length === 0 && <p>nothing: its result cannot change</p>}
        <ul>
          {dependencies.map((dependency, index) => (
            <li key={index}>
              {dependency.collection && <b>{dependency.collection}</b>} <span>{dependency.on}</span>
              <Fields fields={dependency.fields} isOfDocuments={dependency.collection !== null} />
            </li>
          ))}
        </ul>
        {dependenciesTotal > dependencies.length && <p>and {countOf(dependenciesTotal - dependencies.length)} more</p>}
        <h3>Cost</h3>
        <p>{costInWords(cost)}</p>
      </section>
    </div>
  );
}

function costInWords({ runs, maintained, micros }) {
  if (runs === 0) return "none yet: nothing has woken it since it was first asked for";
  const reading = `${countOf(maintained)} from the changes alone, ${countOf(runs - maintained)} reading the store`;
  return `${countOf(runs)} ${runs === 1 ? "run" : "runs"} in ${timeOf(micros)}: ${reading}`;
}

/** Which fields have to change; what comes to the documents, or goes, wakes it in any case. */
function Fields({ fields, isOfDocuments }) {
  if (!isOfDocuments) return null;
  if (fields === null) return <small>any field</small>;
  if (fields.length === 0) return <small>no field, only which documents there are</small>;
  return <small>{fields.join(", ")}</small>;
}
