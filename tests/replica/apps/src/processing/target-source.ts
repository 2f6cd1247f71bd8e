import { Injectable } from '@nestjs/common';
import { LogsDb } from '../logsdb/logsdb.service.js';
import { Oracle, OracleStatementFailed, OracleUnavailable, Row } from '../oracle/oracle.service.js';
import { Gate } from './gate.js';

/** One customer who gets a mail; columns of the target query, plus those of the mapping query. */
export interface Target {
  CUST_ID: string;
  EMAIL_ADDR: string;
  ATTACH_FILE_NAME: string;
  [column: string]: string;
}

/** Where the customers come from: the target query, the mapping query and the update query of an automation. */
export abstract class TargetSource {
  abstract targets(autoId: number): Promise<Target[]>;
  abstract markSent(autoId: number, target: Target, sent: boolean): Promise<void>;
}

/** The customers' database cannot be reached, or refuses a query. */
export class TargetSourceUnavailable extends Error {}

const VARIABLE = /\$\(([A-Za-z0-9_]+)\)/g;
const MAX_QUERIES = 5;
const TABLES = { target: 'dbio_target', mapping: 'dbio_mapping', update: 'dbio_update' };

/** Customers from Oracle, by the queries of DBIO_TARGET, DBIO_MAPPING and DBIO_UPDATE. */
@Injectable()
export class OracleTargetSource extends TargetSource {
  private readonly gate = new Gate(MAX_QUERIES);

  constructor(
    private readonly logsDb: LogsDb,
    private readonly oracle: Oracle,
  ) {
    super();
  }

  async targets(autoId: number): Promise<Target[]> {
    const [query] = await this.texts('target', autoId);
    const mappings = await this.texts('mapping', autoId);
    return this.asking('target query', async () => {
      const targets = (await this.oracle.query(query)) as Target[];
      return Promise.all(targets.map((target) => this.gate.run(() => this.mapped(target, mappings))));
    });
  }

  /** The update query; its variable SENT_YN says whether the mail was sent. */
  async markSent(autoId: number, target: Target, sent: boolean): Promise<void> {
    const variables = { ...target, SENT_YN: sent ? 'Y' : 'N' };
    for (const text of await this.texts('update', autoId)) {
      await this.asking('update query', () => this.oracle.change(...bound(text, variables)));
    }
  }

  private async mapped(target: Target, mappings: string[]): Promise<Target> {
    const columns = { ...target };
    for (const text of mappings) {
      const [row] = await this.asking('mapping query', () => this.oracle.query(...bound(text, columns)));
      Object.assign(columns, row);
    }
    return columns;
  }

  private async texts(kind: keyof typeof TABLES, autoId: number): Promise<string[]> {
    const rows = await this.logsDb.query<{ query_text: string }>(`SELECT query_text FROM ${TABLES[kind]} WHERE auto_id = $1 ORDER BY 1`, [autoId]);
    return rows.map((row) => row.query_text);
  }

  /** The answer, or the error as the log and LogsDB show it. */
  private async asking<Answer>(what: string, ask: () => Promise<Answer>): Promise<Answer> {
    try {
      return await ask();
    } catch (error) {
      if (error instanceof OracleUnavailable) {
        throw new TargetSourceUnavailable(`Oracle connection failed: ${error.message}`);
      }
      if (error instanceof OracleStatementFailed) {
        throw new TargetSourceUnavailable(`DBIO ${what} failed: ${error.message}`);
      }
      throw error;
    }
  }
}

/** A text with `$(NAME)` as bind variables, and their values. */
function bound(text: string, columns: Row): [string, Row] {
  const binds: Row = {};
  const statement = text.replace(VARIABLE, (_, name: string) => {
    binds[name] = columns[name];
    return `:${name}`;
  });
  return [statement, binds];
}
