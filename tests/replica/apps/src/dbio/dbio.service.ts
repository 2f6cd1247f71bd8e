import { Injectable, Logger, OnApplicationBootstrap, OnApplicationShutdown } from '@nestjs/common';
import { Oracle } from '../oracle/oracle.service.js';

const FIRST_MS = 500;
const INTERVAL_MS = 20_000;
const WAITING = 'SELECT COUNT(*) AS WAITING FROM TARGET_VIEW WHERE NEXT_DUE_AT <= SYSDATE';

export interface ConnectTest {
  ok: boolean;
  version?: string;
  error?: string;
  milliseconds: number;
}

/** What the pages show of the customers' database: how many customers wait, and the Connect Test. */
@Injectable()
export class DbioService implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly logger = new Logger('DBIO');
  private timer?: NodeJS.Timeout;
  private waiting: number | null = null;

  constructor(private readonly oracle: Oracle) {}

  onApplicationBootstrap(): void {
    this.countIn(FIRST_MS);
  }

  onApplicationShutdown(): void {
    clearTimeout(this.timer);
  }

  /** Customers who are due now, as they were counted last; null while the database cannot be asked. */
  targets(): { waiting: number | null } {
    return { waiting: this.waiting };
  }

  async connectTest(): Promise<ConnectTest> {
    const begin = Date.now();
    try {
      const version = await this.oracle.version();
      return { ok: true, version, milliseconds: Date.now() - begin };
    } catch (error) {
      const { message } = error as Error;
      this.logger.error(`Oracle connection failed: ${message}`);
      return { ok: false, error: message, milliseconds: Date.now() - begin };
    }
  }

  private countIn(milliseconds: number): void {
    this.timer = setTimeout(() => void this.count(), milliseconds);
  }

  private async count(): Promise<void> {
    try {
      const [row] = await this.oracle.query(WAITING);
      this.waiting = Number(row.WAITING);
    } catch (error) {
      this.waiting = null;
      this.logger.error(`Oracle connection failed: ${(error as Error).message}`);
    }
    this.countIn(INTERVAL_MS);
  }
}
