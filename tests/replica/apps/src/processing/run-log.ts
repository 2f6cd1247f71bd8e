import { Injectable } from '@nestjs/common';
import { LogsDb } from '../logsdb/logsdb.service.js';
import { Attachment } from './attachments.js';
import { Target } from './target-source.js';

export interface Automation {
  autoId: number;
  orgId: number;
  name: string;
}

/** What became of the mails of one run. */
export interface Tally {
  total: number;
  sent: number;
  fileErrors: number;
  dbErrors: number;
  sesErrors: number;
}

export interface SendOutcome {
  subject: string;
  messageId: string | null;
  errorType: string | null;
  errorMessage: string | null;
  updateOk: boolean;
}

/** Writes the log tables of LogsDB: AUTO_RUN_LOG, EMAIL_SEND_LOG, ATTACHMENT_LOG, SYSTEM_ERROR_LOG. */
@Injectable()
export class RunLog {
  constructor(private readonly logsDb: LogsDb) {}

  /** The open run of the automation, or a new one: a run that a killed worker left open goes on. */
  async open(automation: Automation, total: number): Promise<string> {
    const [left] = await this.logsDb.query<{ run_id: string }>(
      'SELECT run_id FROM auto_run_log WHERE auto_id = $1 AND end_at IS NULL ORDER BY run_id DESC LIMIT 1',
      [automation.autoId],
    );
    if (left) {
      return left.run_id;
    }
    const [run] = await this.logsDb.query<{ run_id: string }>(
      'INSERT INTO auto_run_log (auto_id, org_id, start_at, total_target) VALUES ($1, $2, localtimestamp, $3) RETURNING run_id',
      [automation.autoId, automation.orgId, total],
    );
    return run.run_id;
  }

  async close(runId: string, tally: Tally, message: string | null): Promise<void> {
    const failed = tally.total - tally.sent;
    const status = failed === 0 && tally.dbErrors === 0 && message === null ? 'SUCCESS' : tally.sent > 0 ? 'PARTIAL' : 'FAIL';
    await this.logsDb.query(
      `UPDATE auto_run_log SET end_at = localtimestamp, status = $2, total_target = $3, success_count = $4, fail_count = $5,
              file_error_count = $6, db_error_count = $7, ses_error_count = $8, message = $9
        WHERE run_id = $1`,
      [runId, status, tally.total, tally.sent, failed, tally.fileErrors, tally.dbErrors, tally.sesErrors, message],
    );
    await this.logsDb.query('UPDATE automation a SET last_run_at = r.start_at FROM auto_run_log r WHERE r.run_id = $1 AND a.auto_id = r.auto_id', [
      runId,
    ]);
  }

  async mail(runId: string, automation: Automation, target: Target, outcome: SendOutcome): Promise<void> {
    await this.logsDb.query(
      `INSERT INTO email_send_log (run_id, auto_id, org_id, cust_id, email, subject, attach_file_name, status, error_type,
                                   error_message, ses_message_id, update_query_ok, send_at)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, localtimestamp)`,
      [
        runId,
        automation.autoId,
        automation.orgId,
        target.CUST_ID,
        maskedAddress(target.EMAIL_ADDR),
        outcome.subject,
        target.ATTACH_FILE_NAME,
        outcome.errorType === null ? 'SUCCESS' : 'FAIL',
        outcome.errorType,
        outcome.errorMessage,
        outcome.messageId,
        outcome.updateOk ? 'Y' : 'N',
      ],
    );
  }

  async attachment(runId: string, automation: Automation, target: Target, attachment: Attachment): Promise<void> {
    await this.logsDb.query(
      `INSERT INTO attachment_log (run_id, auto_id, org_id, cust_id, file_name, status, message, created_at)
       VALUES ($1, $2, $3, $4, $5, $6, $7, localtimestamp)`,
      [runId, automation.autoId, automation.orgId, target.CUST_ID, target.ATTACH_FILE_NAME, attachment.status, attachment.message],
    );
  }

  async systemError(automation: Automation, module: 'DBIO' | 'TEMPLATE' | 'SES' | 'WORKER', error: Error): Promise<void> {
    await this.logsDb.query(
      `INSERT INTO system_error_log (auto_id, org_id, module, error_message, stack_trace, created_at)
       VALUES ($1, $2, $3, $4, $5, localtimestamp)`,
      [automation.autoId, automation.orgId, module, error.message, error.stack ?? null],
    );
  }
}

/** `hong@test.com` as `h***@test.com`. */
export function maskedAddress(address: string): string {
  return address.replace(/^(.).*@/, '$1***@');
}
