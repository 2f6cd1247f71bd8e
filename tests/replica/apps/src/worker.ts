/** Entry of the process `worker`: scheduler and mail processor, without an HTTP port. */
import 'reflect-metadata';
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { Logger } from '@nestjs/common';
import { ConfigService } from '@nestjs/config';
import { NestFactory } from '@nestjs/core';
import { INSTALL_DIR, logLevels } from './config/environment.js';
import { WorkerModule } from './worker.module.js';

/** Exit code of a worker that must not be started again before somebody has looked. */
const EXIT_NOT_USABLE = 3;
const SPOOL = join(INSTALL_DIR, 'worker', 'spool');

async function bootstrap(): Promise<void> {
  const app = await NestFactory.createApplicationContext(WorkerModule);
  app.useLogger(logLevels(app.get(ConfigService).getOrThrow('LOG_LEVEL')));
  app.enableShutdownHooks();
  new Logger('Worker').log('Worker started');
}

try {
  accessSync(SPOOL, constants.W_OK);
} catch (error) {
  new Logger('Worker').error(`Spool folder not usable, the worker ends: ${(error as Error).message}`);
  process.exit(EXIT_NOT_USABLE);
}
void bootstrap();
