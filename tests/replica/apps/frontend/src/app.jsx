import { useEffect, useState } from 'react';

const PERIOD_MS = 5000;

/** JSON of an address, asked again every few seconds; `null` until the first answer, `error` when there is none. */
function usePolled(address) {
  const [state, setState] = useState({ data: null, error: null });
  useEffect(() => {
    const ask = async () => {
      try {
        const answer = await fetch(address);
        if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
        setState({ data: await answer.json(), error: null });
      } catch (error) {
        setState({ data: null, error: error.message });
      }
    };
    ask();
    const timer = setInterval(ask, PERIOD_MS);
    return () => clearInterval(timer);
  }, [address]);
  return state;
}

export function App() {
  const health = usePolled('/api/health');
  const runs = usePolled('/api/runs?limit=10');
  return (
    <main>
      <h1>Tank</h1>
      <p className={health.data?.status === 'ok' ? 'good' : 'bad'}>
        Backend: {health.data?.status ?? health.error ?? 'asking'}
      </p>
      <table>
        <thead>
          <tr><th>Run</th><th>Department</th><th>Automation</th><th>Status</th><th>Sent</th></tr>
        </thead>
        <tbody>
          {(runs.data ?? []).map((run) => (
            <tr key={run.run_id}>
              <td>{run.run_id}</td><td>{run.org_name}</td><td>{run.auto_name}</td>
              <td>{run.status ?? 'RUNNING'}</td><td>{run.success_count} / {run.total_target}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </main>
  );
}
