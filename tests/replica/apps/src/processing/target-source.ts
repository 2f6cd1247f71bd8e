import { Injectable } from '@nestjs/common';
import { LogsDb } from '../logsdb/logsdb.service.js';

/** One customer who gets a mail; columns of the target query, plus those that templates name. */
export interface Target {
  CUST_ID: string;
  EMAIL_ADDR: string;
  ATTACH_FILE_NAME: string;
  [column: string]: string;
}

/** Where the customers come from: the target query and the update query of an automation. */
export abstract class TargetSource {
  abstract targets(autoId: number): Promise<Target[]>;
  abstract markSent(autoId: number, target: Target): Promise<void>;
}

/** The customers' database cannot be reached. */
export class TargetSourceUnavailable extends Error {}

/** Customers from the table CUSTOMER_TARGET beside LogsDB, in the place of the customer's Oracle. */
@Injectable()
export class LocalTableTargetSource extends TargetSource {
  constructor(private readonly logsDb: LogsDb) {
    super();
  }

  async targets(autoId: number): Promise<Target[]> {
    const rows = await this.logsDb.query<{ cust_id: string; email_addr: string; cust_name: string; attach_file_name: string }>(
      `SELECT cust_id, email_addr, cust_name, replace(attach_pattern, '{date}', to_char(localtimestamp, 'YYYYMMDD')) AS attach_file_name
         FROM customer_target WHERE auto_id = $1 AND next_due_at <= localtimestamp ORDER BY cust_id LIMIT 500`,
      [autoId],
    );
    return rows.map((row) => ({
      CUST_ID: row.cust_id,
      EMAIL_ADDR: row.email_addr,
      CUST_NAME: row.cust_name,
      ATTACH_FILE_NAME: row.attach_file_name,
    }));
  }

  async markSent(autoId: number, target: Target): Promise<void> {
    await this.logsDb.query(
      `UPDATE customer_target SET next_due_at = localtimestamp + cycle WHERE auto_id = $1 AND cust_id = $2`,
      [autoId, target.CUST_ID],
    );
  }
}
