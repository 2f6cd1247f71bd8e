import { Controller, DefaultValuePipe, Get, ParseIntPipe, Query } from '@nestjs/common';
import { Run, RunsService } from './runs.service.js';

@Controller('runs')
export class RunsController {
  constructor(private readonly runs: RunsService) {}

  @Get()
  latest(@Query('limit', new DefaultValuePipe(20), ParseIntPipe) limit: number): Promise<Run[]> {
    return this.runs.latest(Math.min(Math.max(limit, 1), 100));
  }
}
