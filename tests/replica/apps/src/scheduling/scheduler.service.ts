import { Injectable, Logger, OnApplicationBootstrap, OnApplicationShutdown } from '@nestjs/common';
import { ConfigService } from '@nestjs/config';
import { LogsDb } from '../logsdb/logsdb.service.js';
import { readHolidays } from './holidays.js';

const FIRST_TICK_MS = 1000;

/** Creates jobs in JOB_QUEUE for the automations that are due by their SCHEDULER row. */
@Injectable()
export class Scheduler implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly logger = new Logger('Scheduler');
  private readonly interval: number;
  private timer?: NodeJS.Timeout;

  constructor(config: ConfigService, private readonly logsDb: LogsDb) {
    this.interval = config.getOrThrow<number>('SCHEDULER_INTERVAL');
  }

  onApplicationBootstrap(): void {
    this.logger.log(`Scheduler started, interval ${this.interval} ms`);
    this.tickIn(FIRST_TICK_MS);
  }

  onApplicationShutdown(): void {
    clearTimeout(this.timer);
  }

  private tickIn(milliseconds: number): void {
    // A damaged calendar ends the process: nothing may be sent on a holiday.
    this.timer = setTimeout(() => void this.tick(readHolidays()), milliseconds);
  }

  /** One round; when LogsDB is away, the next one tries again. */
  private async tick(holidays: string[]): Promise<void> {
    try {
      const jobs = await this.createJobs(holidays);
      this.logger.log(`Scheduler created ${jobs} job(s)`);
      await this.forgetOldJobs();
    } catch (error) {
      this.logger.error(`Scheduler: LogsDB not available: ${(error as Error).message}`);
    }
    this.tickIn(this.interval);
  }

  /** A job for each due automation that has none waiting or running; NEXT_RUN_AT moves on. */
  private async createJobs(holidays: string[]): Promise<number> {
    const due = await this.logsDb.query<{ auto_id: number }>(
      `UPDATE automation a
          SET next_run_at = CASE s.type
                WHEN 'REALTIME' THEN localtimestamp
                WHEN 'DAILY' THEN next_daily_run(localtimestamp::timestamp, s.hour, s.minute, $1::date[])
                WHEN 'WEEKLY' THEN a.next_run_at + interval '7 days'
                ELSE a.next_run_at + interval '1 month' END
         FROM scheduler s
        WHERE s.auto_id = a.auto_id AND s.status = 'ACTIVE' AND a.status = 'ACTIVE'
          AND a.next_run_at <= localtimestamp
          AND NOT EXISTS (SELECT 1 FROM job_queue j WHERE j.auto_id = a.auto_id AND j.status IN ('WAITING', 'RUNNING'))
        RETURNING a.auto_id`,
      [holidays],
    );
    for (const { auto_id } of due) {
      await this.logsDb.query(`INSERT INTO job_queue (auto_id, status) VALUES ($1, 'WAITING')`, [auto_id]);
    }
    return due.length;
  }

  /** Ended jobs stay for an hour: the queue does not grow. */
  private async forgetOldJobs(): Promise<void> {
    await this.logsDb.query(
      `DELETE FROM job_queue WHERE status IN ('DONE', 'FAIL') AND end_at < localtimestamp - interval '1 hour'`,
    );
  }
}
