import { join } from 'node:path';
import { ConfigModule } from '@nestjs/config';
import Joi from 'joi';

/** Folder of the installation: holds backend/, worker/, config/ (this file is <process>/dist/config/environment.js). */
export const INSTALL_DIR = join(__dirname, '..', '..', '..');

const schema = Joi.object({
  HOST: Joi.string().default('127.0.0.1'),
  PORT: Joi.number().port().required(),
  LOGSDB_HOST: Joi.string().required(),
  LOGSDB_PORT: Joi.number().port().required(),
  LOGSDB_NAME: Joi.string().required(),
  LOGSDB_USER: Joi.string().required(),
  LOGSDB_PASS: Joi.string().required(),
  DB_POOL_SIZE: Joi.number().integer().min(1).max(50).default(5),
  ORACLE_HOST: Joi.string().required(),
  ORACLE_PORT: Joi.number().port().default(1521),
  ORACLE_SERVICE: Joi.string(),
  ORACLE_SID: Joi.string(),
  ORACLE_TNS: Joi.string(),
  ORACLE_USER: Joi.string().required(),
  ORACLE_PASS: Joi.string().required(),
  ORACLE_CLIENT_LIB_DIR: Joi.string(),
  AWS_REGION: Joi.string(),
  AWS_ACCESS_KEY: Joi.string(),
  AWS_SECRET_KEY: Joi.string(),
  SES_ENDPOINT: Joi.string().uri(),
  FILE_ROOT_PATH: Joi.string().required(),
  SCHEDULER_INTERVAL: Joi.number().integer().min(1000).default(30000),
  MAX_PARALLEL: Joi.number().integer().min(1).max(100).default(10),
  LOG_LEVEL: Joi.string().valid('error', 'warn', 'log', 'debug').default('log'),
})
  .or('ORACLE_SERVICE', 'ORACLE_SID', 'ORACLE_TNS')
  .and('AWS_REGION', 'AWS_ACCESS_KEY', 'AWS_SECRET_KEY')
  .unknown(true);

/** Configuration from config/.env; a variable that is missing or wrong stops the process with `Config validation error:`. */
export const environment = ConfigModule.forRoot({
  isGlobal: true,
  cache: true,
  envFilePath: join(INSTALL_DIR, 'config', '.env'),
  validationSchema: schema,
});

const LEVELS = ['fatal', 'error', 'warn', 'log', 'debug'] as const;

/** Nest's log levels from the least to the one named by LOG_LEVEL. */
export function logLevels(level: string): (typeof LEVELS)[number][] {
  return LEVELS.slice(0, LEVELS.indexOf(level as (typeof LEVELS)[number]) + 1);
}
