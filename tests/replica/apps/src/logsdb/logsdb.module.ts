import { Global, Module } from '@nestjs/common';
import { LogsDb } from './logsdb.service.js';

@Global()
@Module({ providers: [LogsDb], exports: [LogsDb] })
export class LogsDbModule {}
