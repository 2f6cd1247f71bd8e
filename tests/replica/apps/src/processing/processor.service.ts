import { setTimeout as pause } from 'node:timers/promises';
import { Injectable, Logger, OnApplicationBootstrap, OnApplicationShutdown } from '@nestjs/common';
import { ConfigService } from '@nestjs/config';
import { LogsDb } from '../logsdb/logsdb.service.js';
import { Attachments } from './attachments.js';
import { Gate } from './gate.js';
import { MailRefused, MailSender } from './mail-sender.js';
import { Automation, maskedAddress, RunLog, SendOutcome, Tally } from './run-log.js';
import { Target, TargetSource, TargetSourceUnavailable } from './target-source.js';
import { render, TemplateMismatch } from './templates.js';

const IDLE_MS = 500;
const RETRY_MS = 3000;

interface Texts {
  html: string;
  subject: string;
  sender: string;
}

/** Walks the jobs of JOB_QUEUE one after the other: targets, template, attachment, mail, update, log. */
@Injectable()
export class Processor implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly logger = new Logger('Processor');
  private readonly maxParallel: number;
  private stopping = false;
  /** Customers who have their mail and could not be marked in Oracle: they are marked when it is back, and get no second mail. */
  private readonly unmarked = new Set<string>();

  constructor(
    config: ConfigService,
    private readonly logsDb: LogsDb,
    private readonly targetSource: TargetSource,
    private readonly sender: MailSender,
    private readonly attachments: Attachments,
    private readonly runLog: RunLog,
  ) {
    this.maxParallel = config.getOrThrow<number>('MAX_PARALLEL');
  }

  onApplicationBootstrap(): void {
    void this.work();
  }

  onApplicationShutdown(): void {
    this.stopping = true;
  }

  private async work(): Promise<void> {
    let resumed = false;
    while (!this.stopping) {
      try {
        if (!resumed) {
          // One worker only: what is RUNNING now was left by a worker that ended in the middle.
          await this.logsDb.query(`UPDATE job_queue SET status = 'WAITING' WHERE status = 'RUNNING'`);
          resumed = true;
        }
        if (!(await this.nextJob())) {
          await pause(IDLE_MS);
        }
      } catch (error) {
        this.logger.error(`LogsDB not available, next try in ${RETRY_MS} ms: ${(error as Error).message}`);
        resumed = false;
        await pause(RETRY_MS);
      }
    }
  }

  /** Processes the oldest waiting job; false when there is none. */
  private async nextJob(): Promise<boolean> {
    const [job] = await this.logsDb.query<{ job_id: string; auto_id: number; org_id: number; auto_name: string }>(
      `UPDATE job_queue j SET status = 'RUNNING', start_at = localtimestamp
         FROM automation a
        WHERE a.auto_id = j.auto_id
          AND j.job_id = (SELECT job_id FROM job_queue WHERE status = 'WAITING' ORDER BY job_id LIMIT 1)
        RETURNING j.job_id, a.auto_id, a.org_id, a.auto_name`,
    );
    if (!job) {
      return false;
    }
    this.logger.log(`Processing job ${job.job_id} (${job.auto_name})`);
    const note = await this.processRun({ autoId: job.auto_id, orgId: job.org_id, name: job.auto_name });
    await this.logsDb.query(`UPDATE job_queue SET status = $2, end_at = localtimestamp, log = $3 WHERE job_id = $1`, [
      job.job_id,
      note.failed ? 'FAIL' : 'DONE',
      note.text,
    ]);
    return true;
  }

  private async processRun(automation: Automation): Promise<{ failed: boolean; text: string }> {
    let targets: Target[];
    try {
      targets = await this.withoutMarking(automation.autoId, await this.targetSource.targets(automation.autoId));
    } catch (error) {
      await this.reportSource(automation, error);
      return { failed: true, text: (error as Error).message };
    }
    if (targets.length === 0) {
      return { failed: false, text: 'no targets' };
    }
    const tally: Tally = { total: targets.length, sent: 0, fileErrors: 0, dbErrors: 0, sesErrors: 0 };
    const runId = await this.runLog.open(automation, tally.total);
    const message = await this.sendAll(runId, automation, targets, tally);
    await this.runLog.close(runId, tally, message);
    const text = `run ${runId}: ${tally.sent} of ${tally.total} sent`;
    this.logger.log(`${automation.name}, ${text}`);
    return { failed: tally.sent === 0, text };
  }

  /** The targets without those who have their mail already; these are marked now. */
  private async withoutMarking(autoId: number, targets: Target[]): Promise<Target[]> {
    const [marked, waiting] = [true, false].map((had) => targets.filter((target) => this.unmarked.has(`${autoId} ${target.CUST_ID}`) === had));
    for (const target of marked) {
      await this.targetSource.markSent(autoId, target, true);
      this.unmarked.delete(`${autoId} ${target.CUST_ID}`);
    }
    return waiting;
  }

  /** Logs an error of the customers' database; any other is thrown again. */
  private async reportSource(automation: Automation, error: unknown): Promise<void> {
    if (!(error instanceof TargetSourceUnavailable)) {
      throw error;
    }
    this.logger.error(error.message, error.stack);
    await this.runLog.systemError(automation, 'DBIO', error);
  }

  /** Sends to all targets, at most MAX_PARALLEL at a time; the text says why the run as a whole stopped, or null. */
  private async sendAll(runId: string, automation: Automation, targets: Target[], tally: Tally): Promise<string | null> {
    const texts = await this.texts(automation.autoId);
    try {
      render(texts.subject + texts.html, targets[0]);
    } catch (error) {
      if (!(error instanceof TemplateMismatch)) {
        throw error;
      }
      this.logger.error(`Template variable mismatch: ${automation.name}: ${error.message}`);
      await this.runLog.systemError(automation, 'TEMPLATE', error);
      return error.message;
    }
    const gate = new Gate(this.maxParallel);
    await Promise.all(targets.map((target) => gate.run(() => this.sendOne(runId, automation, texts, target, tally))));
    return null;
  }

  private async texts(autoId: number): Promise<Texts> {
    const [row] = await this.logsDb.query<{ html_content: string; subject_template: string; sender_email: string }>(
      'SELECT t.html_content, s.subject_template, s.sender_email FROM template t JOIN email_setting s USING (auto_id) WHERE auto_id = $1',
      [autoId],
    );
    return { html: row.html_content, subject: row.subject_template, sender: row.sender_email };
  }

  private async sendOne(runId: string, automation: Automation, texts: Texts, target: Target, tally: Tally): Promise<void> {
    const outcome: SendOutcome = { subject: render(texts.subject, target), messageId: null, errorType: null, errorMessage: null, updateOk: false };
    const path = await this.attachmentOf(runId, automation, target);
    if (path === null) {
      tally.fileErrors += 1;
      outcome.errorType = 'FILE';
      outcome.errorMessage = target.ATTACH_FILE_NAME ? `File not found: ${target.ATTACH_FILE_NAME}` : 'no attachment is named';
    } else {
      await this.send(automation, texts, target, path, outcome, tally);
    }
    const sent = outcome.errorType === null;
    outcome.updateOk = (await this.mark(automation, target, sent)) && sent;
    tally.dbErrors += sent && !outcome.updateOk ? 1 : 0;
    tally.sent += sent ? 1 : 0;
    await this.runLog.mail(runId, automation, target, outcome);
  }

  /** The update query; true when it went well. A customer who got no mail comes again in the next cycle, not in the next second. */
  private async mark(automation: Automation, target: Target, sent: boolean): Promise<boolean> {
    try {
      await this.targetSource.markSent(automation.autoId, target, sent);
      return true;
    } catch (error) {
      await this.reportSource(automation, error);
      if (sent) {
        this.unmarked.add(`${automation.autoId} ${target.CUST_ID}`);
      }
      return false;
    }
  }

  /** Path of the customer's attachment, or null when there is no usable one; whoever is to get none by name is skipped with a warning. */
  private async attachmentOf(runId: string, automation: Automation, target: Target): Promise<string | null> {
    if (!target.ATTACH_FILE_NAME) {
      this.logger.warn(`No attachment is named for ${target.CUST_ID}, who is skipped`);
      return null;
    }
    const attachment = await this.attachments.find(localDate(), target.ATTACH_FILE_NAME);
    await this.runLog.attachment(runId, automation, target, attachment);
    if (attachment.status === 'FOUND') {
      return attachment.message;
    }
    this.logger.error(`File not found: ${target.ATTACH_FILE_NAME} (${attachment.status}: ${attachment.message})`);
    return null;
  }

  private async send(automation: Automation, texts: Texts, target: Target, path: string, outcome: SendOutcome, tally: Tally): Promise<void> {
    const mail = { from: texts.sender, to: target.EMAIL_ADDR, subject: outcome.subject, html: render(texts.html, target), attachment: path };
    try {
      outcome.messageId = await this.sender.send(mail);
    } catch (error) {
      if (!(error instanceof MailRefused)) {
        throw error;
      }
      tally.sesErrors += 1;
      outcome.errorType = error.type;
      outcome.errorMessage = error.message;
      this.logger.error(`SES send error: ${error.type}: ${error.message} (${maskedAddress(target.EMAIL_ADDR)})`);
      await this.runLog.systemError(automation, 'SES', error);
    }
  }
}

/** Today as YYYYMMDD in the time zone of the process. */
function localDate(): string {
  const now = new Date();
  return `${now.getFullYear()}${String(now.getMonth() + 1).padStart(2, '0')}${String(now.getDate()).padStart(2, '0')}`;
}
