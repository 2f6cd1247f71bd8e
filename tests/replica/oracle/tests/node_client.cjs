// Runs node-oracledb for the tests: one JSON request a line on stdin, one JSON answer a line on stdout.
'use strict';

const oracledb = require(process.argv[2]);
const readline = require('node:readline');

let connection;

const operations = {
  version: async () => oracledb.versionString,
  connect: async ({ options }) => {
    connection = await oracledb.getConnection(options);
    return { version: connection.oracleServerVersionString, warning: connection.warning && connection.warning.message };
  },
  execute: async ({ sql, binds = [], options = {} }) => {
    const done = await connection.execute(sql, binds.map(revived), options);
    return { rows: done.rows, rowsAffected: done.rowsAffected, names: done.metaData && done.metaData.map((column) => column.name) };
  },
  executeMany: async ({ sql, rows, options = {} }) => {
    const done = await connection.executeMany(sql, rows, options);
    const failures = (done.batchErrors || []).map((error) => [error.offset, error.message.slice(0, 9)]);
    return { rowsAffected: done.rowsAffected, failures };
  },
  fetchAll: async ({ sql, fetchArraySize, prefetchRows }) => {
    const { resultSet } = await connection.execute(sql, [], { resultSet: true, fetchArraySize, prefetchRows });
    let rows = 0;
    for (; await resultSet.getRow(); ) rows += 1;
    await resultSet.close();
    return rows;
  },
  timeout: async ({ milliseconds }) => { connection.callTimeout = milliseconds; },
  breakAfter: async ({ milliseconds }) => { setTimeout(() => connection.break().catch(() => {}), milliseconds); },
  attributes: async (names) => { Object.assign(connection, names); },
  ping: async () => connection.ping(),
  commit: async () => connection.commit(),
  rollback: async () => connection.rollback(),
  healthy: async () => connection.isHealthy(),
  close: async () => connection.close(),
};

// {"date": "..."} stands for a Date.
function revived(bind) {
  return bind && bind.date ? new Date(bind.date) : bind;
}

async function answer(line) {
  const { do: operation, ...request } = JSON.parse(line);
  try {
    return { ok: true, answer: await operations[operation](request) };
  } catch (error) {
    return { ok: false, code: error.code, errorNum: error.errorNum, offset: error.offset, message: error.message };
  }
}

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    process.stdout.write(`${JSON.stringify(await answer(line))}\n`);
  }
  process.exit(0);
})();
