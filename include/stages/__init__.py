"""What the DAGs' tasks do: each function puts rooms together for one task, from small typed records to small records.

The only room that may import all the others; it knows no Airflow. Its functions take the lake that the task opened.
"""
