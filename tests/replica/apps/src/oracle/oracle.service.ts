import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Injectable, OnApplicationShutdown } from '@nestjs/common';
import { ConfigService } from '@nestjs/config';
import oracledb, { Connection, ExecuteOptions, ExecuteResult, Pool } from 'oracledb';
import { INSTALL_DIR } from '../config/environment.js';

const POOL_TIMEOUT_S = 30;
const TRANSPORT_TIMEOUT_S = 5;
const CONNECT_TIMEOUT_S = 10;
const PING_TIMEOUT_MS = 3000;
/** For all that it takes to get a connection, the login too. */
const QUEUE_TIMEOUT_MS = 15_000;
const CALL_TIMEOUT_MS = 20_000;
const CLOSE_MS = 1000;
/** The product reads this many customers at a time. */
const MAX_ROWS = 30_000;

/** The customers' database gives no connection. */
export class OracleUnavailable extends Error {}

/** It gives a connection, and an error for a statement. */
export class OracleStatementFailed extends Error {}

export type Row = Record<string, string>;

/** Connection pool to the customer's Oracle: thin mode, unless ORACLE_CLIENT_LIB_DIR names an Instant Client. */
@Injectable()
export class Oracle implements OnApplicationShutdown {
  private pool?: Promise<Pool>;

  constructor(private readonly config: ConfigService) {}

  /** Rows of a query. */
  async query(text: string, binds: Row = {}): Promise<Row[]> {
    const done = await this.execute(text, binds, { maxRows: MAX_ROWS, outFormat: oracledb.OUT_FORMAT_OBJECT });
    return (done.rows ?? []) as Row[];
  }

  /** How many rows a statement has changed; it is committed. */
  async change(text: string, binds: Row): Promise<number> {
    return (await this.execute(text, binds, { autoCommit: true })).rowsAffected ?? 0;
  }

  /** Release of the database: the Connect Test. */
  async version(): Promise<string> {
    const connection = await this.connection();
    try {
      return connection.oracleServerVersionString;
    } finally {
      await connection.close();
    }
  }

  async onApplicationShutdown(): Promise<void> {
    const closed = this.pool?.then((pool) => pool.close(0)).catch(() => undefined);
    await Promise.race([closed, pause(CLOSE_MS, undefined, { ref: false })]);
  }

  private async execute(text: string, binds: Row, options: ExecuteOptions): Promise<ExecuteResult> {
    const connection = await this.connection();
    try {
      return await connection.execute(text, binds, options);
    } catch (error) {
      throw new OracleStatementFailed((error as Error).message);
    } finally {
      await connection.close().catch(() => undefined);
    }
  }

  private async connection(): Promise<Connection> {
    try {
      const connection = await (await this.opened()).getConnection();
      connection.callTimeout = CALL_TIMEOUT_MS;
      return connection;
    } catch (error) {
      throw new OracleUnavailable((error as Error).message);
    }
  }

  /** The pool; one that could not be made is tried again the next time. */
  private opened(): Promise<Pool> {
    this.pool ??= this.open().catch((error) => {
      this.pool = undefined;
      throw error;
    });
    return this.pool;
  }

  private async open(): Promise<Pool> {
    const libDir = this.config.get<string>('ORACLE_CLIENT_LIB_DIR');
    if (libDir) {
      oracledb.initOracleClient({ libDir });
    }
    return oracledb.createPool({
      user: this.config.getOrThrow<string>('ORACLE_USER'),
      password: this.config.getOrThrow<string>('ORACLE_PASS'),
      connectString: this.connectString(),
      configDir: join(INSTALL_DIR, 'config'),
      poolMin: 0,
      poolMax: this.config.getOrThrow<number>('DB_POOL_SIZE'),
      poolIncrement: 1,
      poolTimeout: POOL_TIMEOUT_S,
      poolPingInterval: 0, // a session that was lost meanwhile is replaced before it is used
      poolPingTimeout: PING_TIMEOUT_MS,
      queueTimeout: QUEUE_TIMEOUT_MS,
      connectTimeout: CONNECT_TIMEOUT_S,
      transportConnectTimeout: TRANSPORT_TIMEOUT_S,
    });
  }

  /** An alias of config/tnsnames.ora, or host and port with a SID or a service. */
  private connectString(): string {
    const alias = this.config.get<string>('ORACLE_TNS');
    if (alias) {
      return alias;
    }
    const host = this.config.getOrThrow<string>('ORACLE_HOST');
    const port = this.config.getOrThrow<number>('ORACLE_PORT');
    const sid = this.config.get<string>('ORACLE_SID');
    return sid
      ? `(DESCRIPTION=(ADDRESS=(PROTOCOL=TCP)(HOST=${host})(PORT=${port}))(CONNECT_DATA=(SID=${sid})))`
      : `${host}:${port}/${this.config.get<string>('ORACLE_SERVICE')}`;
  }
}
