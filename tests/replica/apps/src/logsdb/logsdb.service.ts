import { Injectable, Logger, OnApplicationShutdown } from '@nestjs/common';
import { ConfigService } from '@nestjs/config';
import pg from 'pg';

/** Connection pool to LogsDB (PostgreSQL). Identifiers are unquoted, so PostgreSQL keeps them in lower case. */
@Injectable()
export class LogsDb implements OnApplicationShutdown {
  private readonly logger = new Logger('LogsDB');
  private readonly pool: pg.Pool;

  constructor(config: ConfigService) {
    this.pool = new pg.Pool({
      host: config.getOrThrow<string>('LOGSDB_HOST'),
      port: config.getOrThrow<number>('LOGSDB_PORT'),
      database: config.getOrThrow<string>('LOGSDB_NAME'),
      user: config.getOrThrow<string>('LOGSDB_USER'),
      password: config.getOrThrow<string>('LOGSDB_PASS'),
      max: config.getOrThrow<number>('DB_POOL_SIZE'),
      connectionTimeoutMillis: 3000,
    });
    // Without a listener a lost idle connection would end the process.
    this.pool.on('error', (error) => this.logger.warn(`LogsDB connection lost: ${error.message}`));
  }

  /** Rows of one statement; numbers and strings go through parameters ($1, $2 ...). */
  async query<Row extends pg.QueryResultRow>(text: string, values: unknown[] = []): Promise<Row[]> {
    return (await this.pool.query<Row>(text, values)).rows;
  }

  async onApplicationShutdown(): Promise<void> {
    await this.pool.end();
  }
}
